"""What a standalone keeps where nothing else was set."""

from pathlib import Path

import pytest

from deploy.retention import gigabytes, installation_of, words
from ledger.errors import Misconfigured
from ledger.retention import Installation
from ledger.settings import RetentionSection, read_section


def section(**given: str) -> RetentionSection:
    return read_section(
        RetentionSection, "RETENTION", {f"LLMLEDGER_RETENTION__{name}": of for name, of in given.items()}
    )


def test_days_are_a_number_or_for_ever() -> None:
    assert (section().days, section(DAYS="90").days, section(DAYS="Forever").days) == (3650, 90, None)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "never"])
def test_other_days_are_refused_by_name(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"^LLMLEDGER_RETENTION__DAYS must be"):
        section(DAYS=text)


def test_the_cap_is_half_of_the_disk_unless_it_is_set(tmp_path: Path) -> None:
    default = installation_of(section(), tmp_path)
    assert default.cap_is_default
    assert default.max_bytes is not None
    assert default.max_bytes > 10**8
    assert installation_of(section(MAX_GB="0.5", DAYS="7"), tmp_path) == Installation(7, 500_000_000)


def test_it_is_said_in_words() -> None:
    assert words(365, 500_000_000_000) == "calls for 365 days, at most 500 GB of them"
    assert words(None, None) == "calls for ever"
    assert gigabytes(1_234_567) == "0.00123 GB"
