"""The fields of the search language: one table for the parser, for the conditions, for the documents.

Texts compare exactly, in their letter case, unless the table says otherwise. A value that is not known fulfils no
comparison.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger.filtering import forms
from ledger.filtering.comparing import (
    boolean_atom,
    either_atom,
    flag_or_text_atom,
    float_atom,
    folded_atom,
    id_atom,
    instant_atom,
    integer_atom,
    text_atom,
)
from ledger.filtering.forms import Form
from ledger.filtering.rows import ID_AS_SHOWN, PICO, Column
from ledger.filtering.tree import Side
from ledger.request_log import CostStatus

HAS = "has"
"""The name before the colon of `has:NAME`, which is no field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryField:
    """What may stand before a colon."""

    name: str
    about: str  # one line for people
    form: Form
    column: Column
    known: str = ""  # the condition of has:NAME; '' where every call has a value
    aliases: tuple[str, ...] = ()
    key: str = ""  # the word for what follows after a dot, for fields that are many
    side: Side | None = None  # where its text is looked for; None: it is compared
    all_projects: bool = False  # whether only a key of all projects may name it

    @property
    def shown(self) -> str:
        """The name as documents write it."""
        return f"{self.name}.{self.key}" if self.key else self.name


def _text(name: str, column: str, about: str, **more: Any) -> QueryField:
    known = f"{column} != ''"
    return QueryField(
        name=name, about=about, form=forms.TEXT, column=Column(column, text_atom, known), known=known, **more
    )


def _folded(name: str, column: str, about: str) -> QueryField:
    known = f"{column} != ''"
    about = f"{about}; in any letter case"
    return QueryField(name=name, about=about, form=forms.TEXT, column=Column(column, folded_atom, known), known=known)


def _count(name: str, about: str, column: str = "", **more: Any) -> QueryField:
    column = column or name
    known = f"isNotNull({column})"
    counted = Column(column, integer_atom(name), known)
    return QueryField(name=name, about=about, form=forms.NUMBER, column=counted, known=known, **more)


def _flag(name: str, about: str, **more: Any) -> QueryField:
    return QueryField(name=name, about=about, form=forms.FLAG, column=Column(name, boolean_atom(name)), **more)


def _time(name: str, column: str, about: str) -> QueryField:
    return QueryField(name=name, about=about, form=forms.TIME, column=Column(column, instant_atom), aliases=(column,))


def _words(side: Side, about: str) -> QueryField:
    """The preview is known whenever the text is, and lies in the light table."""
    known = f"isNotNull({side}_preview)"
    nowhere = Column(side.value, text_atom)
    return QueryField(name=side.value, about=about, form=forms.PART_OF_TEXT, column=nowhere, known=known, side=side)


_MODELS = ("model_requested", "model_served")
_ANY_MODEL = "(model_requested != '' OR model_served != '')"

_ALL: tuple[QueryField, ...] = (
    QueryField(name="id", about="the record's id", form=forms.ID, column=Column("id", id_atom(ID_AS_SHOWN))),
    QueryField(
        name="model",
        about="the model: model_requested or model_served",
        form=forms.TEXT,
        column=Column("", either_atom(text_atom, *_MODELS), _ANY_MODEL),
        known=_ANY_MODEL,
    ),
    _text("model_requested", "model_requested", "the model that the call asked for"),
    _text("model_served", "model_served", "the model that answered, as the reply names it"),
    _folded("provider", "provider", "who serves the model"),
    _count("status", "the HTTP status of the reply", "status_code", aliases=("status_code",)),
    QueryField(
        name="error",
        about="true or false: whether the call failed; any other text: a part of the error's text, in any letter case",
        form=forms.ERROR,
        column=Column("ifNull(error, '')", flag_or_text_atom("is_error")),
        known="is_error",
    ),
    _text("user", "user_id", "the end user", aliases=("user_id",)),
    _text("session", "session_id", "the session", aliases=("session_id",)),
    _text("trace", "trace_id", "the trace", aliases=("trace_id",)),
    _text("environment", "environment", "the environment, like production", aliases=("env",)),
    QueryField(
        name="project",
        about="the project; only for keys of all projects",
        form=forms.TEXT,
        column=Column("project", text_atom),
        all_projects=True,
    ),
    QueryField(
        name="source",
        about="the API that the report came through; in any letter case",
        form=forms.TEXT,
        column=Column("source", folded_atom),
    ),
    _text("finish_reason", "finish_reason", "why the model stopped, like stop or length"),
    _text("service_tier", "service_tier", "the provider's service tier"),
    _flag("streamed", "true or false: whether the reply was streamed", aliases=("stream",)),
    _flag("cached", "true or false: whether the reply came from a cache of replies"),
    QueryField(
        name="latency",
        about="how long the call took, in seconds or with a unit: 200ms, 2s, 1.5m",
        form=forms.DURATION,
        column=Column("duration_ms", float_atom("latency"), "isNotNull(duration_ms)"),
        known="isNotNull(duration_ms)",
    ),
    QueryField(
        name="ttft",
        about="the time to the first token, written like latency",
        form=forms.DURATION,
        column=Column("ttft_ms", integer_atom("ttft"), "isNotNull(ttft_ms)"),
        known="isNotNull(ttft_ms)",
    ),
    _count("tokens", "all tokens, in and out", "total_tokens", aliases=("total_tokens",)),
    _count("input_tokens", "tokens of the input, those read from a cache included"),
    _count("output_tokens", "tokens of the output, reasoning included"),
    _count("cache_read_tokens", "tokens of the input that were read from the provider's cache"),
    _count("reasoning_tokens", "tokens of the output that were reasoning"),
    QueryField(
        name="cost",
        about="the cost in USD, compared exactly",
        form=forms.NUMBER,
        column=Column("cost", integer_atom("cost", PICO), "isNotNull(cost)"),
        known="isNotNull(cost)",
    ),
    QueryField(
        name="cost_status",
        about="provided, computed or unpriced: where the cost comes from",
        form=forms.one_of(*CostStatus),
        column=Column("toString(cost_status)", text_atom),
    ),
    _text("price_version", "price_version", "the version of the prices that the call was priced with"),
    _text("url", "http_url", "the URL that was called, where the report says it", aliases=("http_url",)),
    _folded("method", "http_method", "the HTTP method, where the report says it"),
    _text("ip", "http_ip", "the caller's IP address, where the report says it", aliases=("http_ip",)),
    _text("provider_id", "provider_response_id", "the provider's own id", aliases=("provider_response_id",)),
    _time("created", "created_at", "when the call was made: a time, or a date, which is a whole day in UTC"),
    _time("updated", "updated_at", "when the record was last changed, written like created"),
    _words(Side.PROMPT, "a part of the prompt, in any letter case"),
    _words(Side.COMPLETION, "a part of the completion, in any letter case"),
    QueryField(
        name="metadata",
        key="KEY",
        about='metadata of this name; a name with spaces, colons or quotes stands in quotes: metadata."my key":x',
        form=forms.ANY_TEXT,
        column=Column("v", text_atom),
        known="notEmpty(metadata_keys)",
    ),
    QueryField(
        name="header",
        key="NAME",
        about="the request header of this name; the name in any letter case",
        form=forms.ANY_TEXT,
        column=Column("h.2", text_atom),
    ),
)


def _by_name(fields: Iterable[QueryField]) -> Mapping[str, QueryField]:
    return {field.name: field for field in fields}


FIELDS: Mapping[str, QueryField] = _by_name(_ALL)
"""Every field by its name, in the order in which documents list them."""

ALIASES: Mapping[str, str] = {alias: field.name for field in _ALL for alias in field.aliases}
"""Other names, most of them those of the API's answers, and the field that each stands for."""

MEDIA = "media"
METADATA = "metadata"
PRESENCES: Mapping[str, str] = {
    **{field.shown: f"has a value in {field.shown}" for field in _ALL if field.key},
    "metadata": "has metadata of any name",
    MEDIA: "has media: images, audio, files",
    "error": "failed, the same as error:true",
    **{
        field.name: f"{field.name} is known"
        for field in _ALL
        if field.known and field.name not in ("metadata", "error")
    },
}
"""What may follow has: and what it means."""
