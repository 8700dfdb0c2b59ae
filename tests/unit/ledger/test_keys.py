"""API keys: whose is it, what may it do, and how soon does a change of the file count."""

import os
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Misconfigured
from ledger.ids import ProjectId
from ledger.key_file import edit
from ledger.keys import (
    ALL_PROJECTS,
    MOST_REMEMBERED,
    RELOAD_SECONDS,
    KeyFileContent,
    KeyRing,
    NewKey,
    Principal,
    Scope,
    fresh_content,
    new_start_token,
    read_content,
    with_new_key,
    without_key,
)

if TYPE_CHECKING:
    from _typeshed import TraceFunction

BOTH = [Scope.INGEST, Scope.QUERY]


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def add_key(path: Path, project: str = "acme", scopes: list[Scope] = BOTH) -> tuple[str, str]:
    """The text and the id of a key that is new in the file."""
    made: list[NewKey] = []

    def add(content: KeyFileContent) -> KeyFileContent:
        made.append(with_new_key(content, project, scopes, "2026-01-01"))
        return made[0].content

    edit(path, add)
    return made[0].key, made[0].key_id


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_key_tells_its_project_and_scopes(path: Path) -> None:
    key, key_id = add_key(path, scopes=[Scope.QUERY])
    principal = KeyRing(path).find(key)
    assert principal is not None
    assert principal == Principal(key_id, ProjectId("acme"), frozenset({Scope.QUERY}))
    assert principal.may(Scope.QUERY)
    assert not principal.may(Scope.INGEST)


def test_a_key_has_the_documented_form(path: Path) -> None:
    key, key_id = add_key(path)
    assert re.fullmatch(rf"llmledger_live_{key_id}_[\w-]{{43}}_[0-9a-f]{{8}}", key)


def test_the_file_keeps_no_key(path: Path) -> None:
    key, _ = add_key(path)
    secret = key.split("_", 3)[3].rpartition("_")[0]
    assert secret.encode() not in path.read_bytes()


def test_every_key_of_a_file_is_found(path: Path) -> None:
    keys = [add_key(path, project) for project in ("acme", "acme", "other")]
    ring = KeyRing(path)
    found = [ring.find(key) for key, _ in keys]
    assert [(of.key_id, of.project) for of in found if of] == [
        (keys[0][1], "acme"),
        (keys[1][1], "acme"),
        (keys[2][1], "other"),
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"),
        lambda key: key[:40] + ("A" if key[40] != "A" else "B") + key[41:],
        lambda key: key.rpartition("_")[0],
        lambda key: key.upper(),
        lambda key: f" {key}",
        lambda _: "",
    ],
)
def test_a_key_with_another_character_is_unknown(path: Path, spoil: Callable[[str], str]) -> None:
    key, _ = add_key(path)
    assert KeyRing(path).find(spoil(key)) is None


def test_a_secret_under_another_keys_id_is_unknown(path: Path) -> None:
    (first, first_id), (_, second_id) = add_key(path), add_key(path, "other")
    assert KeyRing(path).find(first.replace(first_id, second_id)) is None


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_any_other_text_is_no_key(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-text.json"
    if not path.exists():
        add_key(path)
    assert KeyRing(path).find(text) is None
    assert KeyRing(path).find(f"llmledger_live_{text}") is None


def test_two_files_do_not_know_each_others_keys(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    key, _ = add_key(ours)
    add_key(theirs)
    assert KeyRing(theirs).find(key) is None


def test_a_revoked_key_stops_working_once_the_file_was_looked_at_again(path: Path) -> None:
    clock = Seconds()
    kept, _ = add_key(path)
    revoked, revoked_id = add_key(path)
    ring = KeyRing(path, now=clock)
    assert ring.find(revoked)
    edit(path, lambda content: without_key(content, revoked_id))
    clock.now += RELOAD_SECONDS - 0.01
    assert ring.find(revoked), "the file is not looked at for every request"
    clock.now += 0.02
    assert ring.find(revoked) is None
    assert ring.find(kept)


def test_while_the_file_is_read_anew_another_thread_sees_all_of_it_or_nothing(path: Path) -> None:
    clock, seen = Seconds(), set()
    old, _ = add_key(path)
    ring = KeyRing(path, now=clock)
    assert ring.find(old)

    def between_two_lines(
        frame: FrameType, event: str, argument: object
    ) -> "TraceFunction | None":  # as a thread may come
        del event, argument
        if frame.f_code.co_filename != KeyRing.find.__code__.co_filename:
            return None
        if ring._checked_at == clock.now:  # one thread reads the file, all others go on with what they have
            seen.add((ring.find(old) is not None, ring.find(new) is not None, ring.knows_project("later")))
        return between_two_lines

    new, _ = add_key(path, "later")
    clock.now += RELOAD_SECONDS
    before = sys.gettrace()
    sys.settrace(between_two_lines)
    try:
        ring.knows_project("any")
    finally:
        sys.settrace(before)
    assert seen == {(True, False, False), (True, True, True)}


def test_a_new_key_works_once_the_file_was_looked_at_again(path: Path) -> None:
    clock = Seconds()
    add_key(path)
    ring = KeyRing(path, now=clock)
    assert not ring.knows_project("later")
    key, _ = add_key(path, "later")
    clock.now += RELOAD_SECONDS
    assert ring.find(key)
    assert ring.knows_project("later")


def test_an_unchanged_file_is_not_read_again(path: Path) -> None:
    clock = Seconds()
    key, _ = add_key(path)
    ring = KeyRing(path, now=clock)
    assert ring.find(key)
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    clock.now += RELOAD_SECONDS
    assert ring.find(key)


def test_a_file_that_is_broken_for_a_while_is_said_and_read_again_when_whole(path: Path) -> None:
    clock = Seconds()
    key, _ = add_key(path)
    ring = KeyRing(path, now=clock)
    whole = path.read_bytes()
    assert ring.find(key)
    path.write_bytes(whole[:50])
    clock.now += RELOAD_SECONDS
    with pytest.raises(Misconfigured, match="cannot be read"):
        ring.find(key)
    assert ring.find(key), "what was read before counts until the next look"
    path.write_bytes(whole)
    clock.now += RELOAD_SECONDS
    assert ring.find(key)


def test_a_missing_file_is_said_with_what_to_do(path: Path) -> None:
    with pytest.raises(Misconfigured, match="llmledger keys create"):
        KeyRing(path).find("any")
    with pytest.raises(Misconfigured, match="llmledger keys create"):
        read_content(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"version":1}', b'{"version":"1","pepper":""}'])
def test_a_file_of_another_form_is_said(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_content(path)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_content(tmp_path)


def test_a_project_keeps_its_id_secret_whatever_happens_to_its_keys(path: Path) -> None:
    _, key_id = add_key(path)
    secret = KeyRing(path).id_secret(ProjectId("acme"))
    add_key(path)
    edit(path, lambda content: without_key(content, key_id))
    assert KeyRing(path).id_secret(ProjectId("acme")) == secret
    assert len(secret) == 32


def test_projects_have_different_id_secrets(path: Path) -> None:
    add_key(path, "a")
    add_key(path, "b")
    ring = KeyRing(path)
    assert ring.id_secret(ProjectId("a")) != ring.id_secret(ProjectId("b"))


def test_a_key_of_all_projects_reads_only_and_is_no_project() -> None:
    made = with_new_key(fresh_content(), ALL_PROJECTS, [Scope.QUERY, Scope.ADMIN], "2026-01-01")
    assert made.content.projects == {}
    with pytest.raises(Misconfigured, match="leave out the scope ingest"):
        with_new_key(fresh_content(), ALL_PROJECTS, [Scope.QUERY, Scope.INGEST], "2026-01-01")


def test_a_key_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(Misconfigured, match="no key with the id nope"):
        without_key(fresh_content(), "nope")


def test_unknown_fields_of_a_later_program_do_not_keep_the_file_from_being_read(path: Path) -> None:
    key, _ = add_key(path)
    content = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(content | {"later": 1}))
    assert KeyRing(path).find(key)


@pytest.mark.parametrize("project", ["", "a b", "a/b", "a\nb", "größe", "x" * 101])
def test_a_project_has_a_plain_name(project: str) -> None:
    with pytest.raises(Misconfigured, match="project's name"):
        with_new_key(fresh_content(), project, [Scope.QUERY], "now")


def test_a_file_with_broken_secrets_is_said(path: Path) -> None:
    path.write_text('{"version":1,"pepper":"not base64!"}')
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_content(path)


def test_the_token_of_a_start_opens_all_projects_to_commands_and_is_in_no_file(path: Path) -> None:
    token = new_start_token()
    ring = KeyRing(path, start_token=token)  # there is no file yet
    principal = ring.find(token)
    assert principal is not None
    assert (principal.project, principal.scopes) == (ALL_PROJECTS, frozenset({Scope.QUERY, Scope.ADMIN}))
    assert token not in repr(ring)
    key, _ = add_key(path)
    assert ring.find(key)
    assert [ring.find(text) for text in ("", token[:-1], token + "x", new_start_token())] == [None] * 4
    assert KeyRing(path).find(token) is None


@pytest.mark.parametrize("text", ["\xff", "größe", "\x00"])
def test_a_key_of_any_characters_is_compared_with_the_token(path: Path, text: str) -> None:
    add_key(path)
    assert KeyRing(path, start_token="token").find(text) is None


def test_one_key_written_in_many_ways_takes_no_more_and_more_memory(path: Path) -> None:
    key, _ = add_key(path)
    ring = KeyRing(path)
    unsigned = key.removeprefix("llmledger_live_").rpartition("_")[0]
    for number in range(MOST_REMEMBERED + 10):
        text = f"any_{number}_{unsigned}"
        assert ring.find(f"{text}_{zlib.crc32(text.encode()):08x}")
    assert len(ring._known.remembered) <= MOST_REMEMBERED
