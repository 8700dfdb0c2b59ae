"""Where a setting's value comes from, and what is said of names that nothing reads."""

from pathlib import Path
from typing import Any

import pytest

from deploy.configuration import Value, data_folder, load, texts, toml_path, warnings
from ledger.errors import Misconfigured

TOPIC, DSN = "LLMLEDGER_KAFKA__TOPIC", "LLMLEDGER_STORE__DSN"
PASSWORD = "LLMLEDGER_KAFKA__SASL_PASSWORD"


class Place:
    """A home and a working folder with the files of a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder / "home")}

    def toml(self, text: str) -> Path:
        path = toml_path(self.environ)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def dotenv(self, text: str) -> None:
        (self.folder / ".env").write_text(text)

    def secret(self, text: str) -> str:
        (self.folder / "secret").write_text(text)
        return str(self.folder / "secret")

    def load(self, **environ: str) -> dict[str, Value]:
        return dict(load({**self.environ, **environ}, self.folder))

    def values(self, **environ: str) -> dict[str, str]:
        return texts(self.load(**environ))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_set_is_nothing(place: Place) -> None:
    assert place.load() == {}


def test_the_first_that_has_a_value_wins(place: Place) -> None:
    place.toml('[kafka]\ntopic = "toml"\n')
    assert place.values()[TOPIC] == "toml"
    place.dotenv(f"{TOPIC}=dotenv")
    assert place.values()[TOPIC] == "dotenv"
    assert place.values(**{TOPIC: "environment"})[TOPIC] == "environment"
    assert texts(place.load(**{TOPIC: "environment"}), KAFKA__TOPIC="flag")[TOPIC] == "flag"
    assert texts(place.load(**{TOPIC: "environment"}), KAFKA__TOPIC=None)[TOPIC] == "environment"


def test_each_value_says_where_it_was_found(place: Place) -> None:
    path = place.toml('data = "/d"\n')
    place.dotenv(f"{TOPIC}=t")
    found = place.load(**{DSN: "chdb:///x", "PORT": "9"})
    assert {name: value.origin for name, value in found.items()} == {
        "LLMLEDGER_DATA": str(path),
        TOPIC: str(place.folder / ".env"),
        DSN: "environment",
        "LLMLEDGER_SERVER__PORT": "environment (PORT)",
    }


def test_other_names_of_the_environment_are_none_of_ours(place: Place) -> None:
    place.dotenv("OTHER=1\nXLLMLEDGER_DATA=2")
    assert place.load(HOST="0.0.0.0", PATH="/bin") == {}


def test_a_port_of_the_platform_counts_where_ours_is_not_set(place: Place) -> None:
    assert place.values(PORT="9")["LLMLEDGER_SERVER__PORT"] == "9"
    assert place.values(PORT="9", LLMLEDGER_SERVER__PORT="8")["LLMLEDGER_SERVER__PORT"] == "8"


def test_a_dotenv_may_have_comments_quotes_and_exports(place: Place) -> None:
    place.dotenv(
        f"# {TOPIC}=no\n\n#{DSN}=no\n export {TOPIC}=\"a b\"\nLLMLEDGER_DATA = '/d' \nLLMLEDGER_URL=http://h/?a=b\nrubbish\n"
    )
    assert place.values() == {TOPIC: "a b", "LLMLEDGER_DATA": "/d", "LLMLEDGER_URL": "http://h/?a=b"}


def test_toml_has_sections_and_plain_values(place: Place) -> None:
    place.toml('data = "/d"\n[batch]\nmax_rows = 7\nmax_age_seconds = 0.5\n[server]\nhost = "::1"\n')
    assert place.values() == {
        "LLMLEDGER_DATA": "/d",
        "LLMLEDGER_BATCH__MAX_ROWS": "7",
        "LLMLEDGER_BATCH__MAX_AGE_SECONDS": "0.5",
        "LLMLEDGER_SERVER__HOST": "::1",
    }


def test_toml_that_is_none_is_said_with_its_path(place: Place) -> None:
    path = place.toml("[half")
    with pytest.raises(Misconfigured, match=f"^{path} cannot be read"):
        place.load()


def test_toml_lies_where_the_desktop_says(tmp_path: Path) -> None:
    assert toml_path({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/llmledger/llmledger.toml")
    assert toml_path({"XDG_CONFIG_HOME": "", "HOME": "/h"}) == Path("/h/.config/llmledger/llmledger.toml")


# --- secrets


def test_a_secret_may_be_in_a_file(place: Place) -> None:
    found = place.load(**{f"{PASSWORD}_FILE": place.secret("hush\n")})
    assert found[PASSWORD] == Value("hush", str(place.folder / "secret"))


def test_a_secret_itself_wins_over_its_file_in_the_same_place(place: Place) -> None:
    assert place.values(**{PASSWORD: "plain", f"{PASSWORD}_FILE": "/nowhere"})[PASSWORD] == "plain"


def test_a_file_of_a_higher_place_wins_over_the_secret_of_a_lower_one(place: Place) -> None:
    place.toml('[store]\ndsn = "chdb:///toml"\n')
    assert place.values(**{f"{DSN}_FILE": place.secret("chdb:///file")})[DSN] == "chdb:///file"
    place.dotenv(f"{DSN}=chdb:///dotenv")
    assert place.values()[DSN] == "chdb:///dotenv"


def test_the_secret_of_a_higher_place_wins_over_a_file_of_a_lower_one_which_is_not_read(place: Place) -> None:
    place.dotenv(f"{DSN}_FILE=/nowhere")
    assert place.values(**{DSN: "chdb:///environment"})[DSN] == "chdb:///environment"


def test_a_secrets_file_that_cannot_be_read_is_said_by_name(place: Place) -> None:
    with pytest.raises(Misconfigured, match=f"^{PASSWORD}_FILE cannot be read"):
        place.load(**{f"{PASSWORD}_FILE": "/nowhere"})


def test_only_secrets_are_read_from_files(place: Place) -> None:
    found = place.load(**{f"{TOPIC}_FILE": place.secret("topic")})
    assert TOPIC not in found
    assert len(warnings(found)) == 1


# --- unknown names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LLMLEDGER_KAFKA__TOPICS", "LLMLEDGER_KAFKA__TOPIC"),
        ("LLMLEDGER_KAFKA_TOPIC", "LLMLEDGER_KAFKA__TOPIC"),
        ("LLMLEDGER_STORE__DNS", "LLMLEDGER_STORE__DSN"),
    ],
)
def test_a_name_that_nothing_reads_is_said_with_the_one_that_was_meant(place: Place, name: str, meant: str) -> None:
    assert warnings(place.load(**{name: "x"})) == [f"{name} (environment) is not a setting. Did you mean {meant}?"]


def test_a_name_like_none_of_ours_is_said_without_a_guess() -> None:
    name = "LLMLEDGER_" + "Q" * 60
    assert warnings({name: Value("x", "environment")}) == [f"{name} (environment) is not a setting."]


@pytest.mark.parametrize("name", ["LLMLEDGER_TEST_KAFKA", "LLMLEDGER_FAILPOINTS", TOPIC, f"{DSN}_FILE"])
def test_known_names_and_those_of_tests_are_not_said(name: str) -> None:
    assert warnings({name: Value("x", "environment")}) == []


# --- the data folder


@pytest.mark.parametrize(
    ("environ", "given", "folder"),
    [
        ({"HOME": "/h"}, None, "/h/.local/share/llmledger"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, None, "/x/llmledger"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/d", "/d"),
    ],
)
def test_data_lie_where_it_is_said_else_where_the_user_keeps_data(
    environ: dict[str, str], given: str | None, folder: str
) -> None:
    configuration: dict[str, Any] = {"LLMLEDGER_DATA": Value(given, "flag")} if given else {}
    assert data_folder(environ, configuration) == Path(folder)


def test_a_tilde_is_the_home() -> None:
    assert data_folder({}, {"LLMLEDGER_DATA": Value("~/d", "flag")}) == Path("~/d").expanduser()
