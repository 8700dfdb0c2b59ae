"""What commands print of what others have written: as it is, and never as instructions to the terminal."""

from base64 import b64encode
from typing import Any

from deploy.commands.dlq_text import as_text as dead_letter_text
from deploy.commands.doctor import as_text as findings_text
from ledger.doctor import problem


def test_what_the_doctor_has_seen_is_shown_as_it_is_whatever_it_looks_like() -> None:
    shown = findings_text([problem("keys", "/data/x[/b][red]", "Run: \x1b[31mnothing [abc]")])
    assert "/data/x[/b][red]" in shown
    assert "[abc]" in shown
    assert "\x1b" not in shown


def content(text: str | None, **more: Any) -> dict[str, Any]:
    base64 = None if text is not None else b64encode(b"\xff" * 3000).decode()
    return {"size": 5_000_000, "text": text, "base64": base64, **more}


def a_dead_letter(**contents: Any) -> dict[str, Any]:
    names = ("topic", "code_version", "key", "envelope", "body", "body_inflated")
    nothing: dict[str, Any] = dict.fromkeys(names)
    return nothing | {"dead_letter": {"position": "1-0-7"}, "replays": [], "headers": [], **contents}


def test_a_long_body_is_cut_and_where_all_of_it_is_shown_is_said() -> None:
    shown = dead_letter_text(a_dead_letter(body=content(None), body_inflated=content("a" * 3000, cut=True)))
    assert "(4008 characters; --json shows all)" in shown
    assert "(3000 characters; --json shows the first MiB; all of it is in body, compressed)" in shown
    assert "body inflated (5000000 bytes)" in shown


def test_a_short_body_is_shown_whole() -> None:
    assert dead_letter_text(a_dead_letter(body=content("short"))).endswith("\nshort")
