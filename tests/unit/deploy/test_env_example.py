"""`.env.example` names every setting, with its default, in the form that a `.env` has."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from deploy.configuration import load, texts, warnings
from ledger.settings import SECRETS, SECTIONS, known_variables, read_section, variable_name

EXAMPLE = Path(__file__).parents[3] / ".env.example"
SETTING = re.compile(r"#(?P<name>[A-Z_]+)=(?P<value>.*)")


def settings() -> list[tuple[str, str]]:
    """The names and values, which all stand there as comments."""
    found = (SETTING.fullmatch(line) for line in EXAMPLE.read_text().splitlines())
    return [(match["name"], match["value"]) for match in found if match]


def test_every_setting_is_there_once() -> None:
    names = [name for name, _ in settings()]
    assert sorted(names) == sorted(known_variables())


def test_as_it_stands_it_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text())
    assert load({"HOME": str(tmp_path)}, tmp_path) == {}


def test_without_the_marks_it_is_a_configuration_without_unknown_names(tmp_path: Path) -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if not line.endswith("_FILE") and "_FILE=" not in line]
    (tmp_path / ".env").write_text("\n".join(line.removeprefix("#") if SETTING.match(line) else line for line in lines))
    configuration = load({"HOME": str(tmp_path)}, tmp_path)
    assert warnings(configuration) == []
    values = texts(configuration) | {"LLMLEDGER_KEYS__FILE": "/keys.json"}
    for name, section in SECTIONS.items():
        assert isinstance(read_section(section, name, values), section)


DEFAULTS = [
    (variable_name(name, field.name), field.default)
    for name, section in SECTIONS.items()
    for field in fields(section)
    if field.default not in (MISSING, None)
]


@pytest.mark.parametrize(("name", "default"), DEFAULTS, ids=str)
def test_each_default_is_the_one_that_counts(name: str, default: object) -> None:
    assert dict(settings())[name] == str(default)


def test_it_holds_no_secret() -> None:
    assert {name: value for name, value in settings() if name in SECRETS} == {
        "LLMLEDGER_API_KEY": "",
        "LLMLEDGER_KAFKA__SASL_PASSWORD": "",
        "LLMLEDGER_STORE__DSN": "http://ledger:password@clickhouse:8123/ledger",
    }
