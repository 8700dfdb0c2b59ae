"""A key that is not there costs what one that is there costs at first: one keyed hash and one comparison.

A good one costs less from then on; who sends it knows already that it is good.
"""

import cProfile
import pstats
from pathlib import Path

import pytest

from ledger.key_file import edit
from ledger.keys import KeyFileContent, KeyRing, Scope, with_new_key


@pytest.fixture
def known(tmp_path: Path) -> tuple[KeyRing, str]:
    """A ring that has been read and was never asked for its key, and the key."""
    texts: list[str] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        new = with_new_key(content, "shop", [Scope.QUERY], "2026-01-01T00:00:00Z")
        texts.append(new.key)
        return new.content

    edit(tmp_path / "keys.json", add)
    ring = KeyRing(tmp_path / "keys.json", now=lambda: 0.0)
    assert ring.knows_project("shop")
    return ring, texts[0]


def calls_of(ring: KeyRing, text: str) -> dict[str, int]:
    """How often hashing and comparing were called to look this key up."""
    profile = cProfile.Profile()
    profile.runcall(ring.find, text)
    counted: dict[str, int] = {}
    for (_, _, name), (_, count, *_) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        for what in ("hmac_digest", "compare_digest"):
            if what in name:
                counted[what] = counted.get(what, 0) + count
    return counted


def test_an_unknown_key_is_hashed_and_compared_as_often_as_a_known_one(known: tuple[KeyRing, str]) -> None:
    ring, key = known
    other = with_new_key(KeyFileContent(version=1, pepper=""), "shop", [], "").key
    wrong_secret = f"{key[:30]}{'A' if key[30] != 'A' else 'B'}{key[31:]}"
    expected = calls_of(ring, key)
    assert expected == {"hmac_digest": 1, "compare_digest": 1}
    for text in 2 * (other, wrong_secret, "", "nobody", "llmledger_live_x_y_z"):
        assert calls_of(ring, text) == expected, text


def test_a_good_key_is_hashed_once_as_long_as_its_file_stays(known: tuple[KeyRing, str]) -> None:
    ring, key = known
    assert [calls_of(ring, key) for _ in range(3)] == [{"hmac_digest": 1, "compare_digest": 1}, {}, {}]
