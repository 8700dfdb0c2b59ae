"""The base of the models of bodies: what is not known is accepted and kept."""

from typing import Any

from pydantic import BaseModel, ConfigDict


def _own_name(name: str, _: Any) -> str:
    return name


class JsonObject(BaseModel):
    """A JSON object with some known keys; its fields are documented under their own names."""

    model_config = ConfigDict(extra="allow", field_title_generator=_own_name)
