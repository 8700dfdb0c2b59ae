"""Where a setting's value comes from: flag, environment, `.env`, `llmledger.toml`, default; the first that has it.

Everything ends as one mapping of `LLMLEDGER_…` names to texts, with the origin of each, so that the sections of
`ledger.settings` read from one place and `config show` can say where a value was found.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import Misconfigured
from ledger.settings import PREFIX, SECRETS, known_variables


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's text and where it was found."""

    text: str
    origin: str


Configuration = Mapping[str, Value]


def load(environ: Mapping[str, str], folder: Path) -> Configuration:
    """Every setting that was given. `folder` is where a `.env` may lie. Raises `Misconfigured`."""
    values: dict[str, Value] = {}
    for source in (_from_toml(toml_path(environ)), _from_dotenv(folder / ".env"), _from_environ(environ)):
        for name in _other_forms(source):
            values.pop(name, None)
        values |= source
    return values | _from_files(values)


def texts(configuration: Configuration, **flags: str | None) -> dict[str, str]:
    """The values alone; a flag (`SECTION__NAME` without the prefix) that was given wins."""
    given = {f"{PREFIX}{name}": text for name, text in flags.items() if text is not None}
    return {name: value.text for name, value in configuration.items()} | given


def warnings(configuration: Configuration) -> list[str]:
    """One line for each `LLMLEDGER_…` name that nothing reads, with the name that may have been meant."""
    known = known_variables()
    lines = []
    for name, value in configuration.items():
        if name not in known and not name.startswith((f"{PREFIX}TEST_", f"{PREFIX}FAILPOINTS")):
            close = difflib.get_close_matches(name, known, n=1)
            lines.append(f"{name} ({value.origin}) is not a setting." + (f" Did you mean {close[0]}?" if close else ""))
    return lines


def toml_path(environ: Mapping[str, str]) -> Path:
    """Where the configuration file may lie."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config")
    return home / "llmledger" / "llmledger.toml"


def data_folder(environ: Mapping[str, str], configuration: Configuration) -> Path:
    """The folder of a standalone: `LLMLEDGER_DATA`, else the user's data folder."""
    if f"{PREFIX}DATA" in configuration:
        return Path(configuration[f"{PREFIX}DATA"].text).expanduser()
    home = Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".local" / "share")
    return home / "llmledger"


def _from_environ(environ: Mapping[str, str]) -> dict[str, Value]:
    found = {name: Value(text, "environment") for name, text in environ.items() if name.startswith(PREFIX)}
    if "PORT" in environ:
        found.setdefault(f"{PREFIX}SERVER__PORT", Value(environ["PORT"], "environment (PORT)"))
    return found


def _from_dotenv(path: Path) -> dict[str, Value]:
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text().splitlines():
        name, equals, text = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#") and name.startswith(PREFIX):
            found[name.strip()] = Value(text.strip().strip("'\""), str(path))
    return found


def _from_toml(path: Path) -> dict[str, Value]:
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from None
    return {name: Value(text, str(path)) for name, text in _flattened(content).items()}


def _flattened(content: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= {f"{PREFIX}{name}__{key}".upper(): str(inner) for key, inner in value.items()}
        else:
            found[f"{PREFIX}{name}".upper()] = str(value)
    return found


def _other_forms(source: Configuration) -> list[str]:
    """The names under which an earlier source may have given the same secrets: as a file, or themselves."""
    return [f"{name}_FILE" for name in SECRETS if name in source] + [
        name for name in SECRETS if f"{name}_FILE" in source
    ]


def _from_files(values: Configuration) -> dict[str, Value]:
    """Secrets that were given as the path of a file."""
    found = {}
    for name in SECRETS:
        file = values.get(f"{name}_FILE")
        if file is not None and name not in values:
            try:
                found[name] = Value(Path(file.text).read_text().strip(), file.text)
            except OSError as error:
                raise Misconfigured(f"{name}_FILE cannot be read: {error}") from None
    return found
