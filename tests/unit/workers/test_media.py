"""Media: inline content becomes a blob, everything else stays a text."""

import base64
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from workers.media import StoredItem, hashes_of, media_items, media_json

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PNG_TEXT = base64.b64encode(PNG).decode()


def items(media: Any) -> tuple[StoredItem, ...]:
    return media_items(msgspec.Raw(msgspec.json.encode(media)))


def one(data: str, **more: Any) -> StoredItem:
    (item,) = items({"request": [{"type": "image", "data": data, **more}]})
    return item


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG_TEXT, "base64"),
        (PNG_TEXT[:20] + "\n " + PNG_TEXT[20:], "base64"),
        (f"data:image/png;base64,{PNG_TEXT}", "data_uri"),
        (f"DATA:;base64,{PNG_TEXT}", "data_uri"),
    ],
)
def test_inline_content_is_a_blob_named_by_its_hash(data: str, kind: str) -> None:
    item = one(data, title="a picture")
    assert item.blob is not None
    assert (item.blob.data, item.blob.sha256) == (PNG, sha256(PNG).hexdigest())
    assert item.side == "request"
    described = {"type": "image", "title": "a picture", "side": "request", "kind": kind, "bytes": len(PNG)}
    assert {**item.description, "media_type": ""} == {**described, "sha256": item.blob.sha256, "media_type": ""}


def test_a_data_uri_tells_its_type() -> None:
    assert one(f"data:image/png;charset=x;base64,{PNG_TEXT}").description["media_type"] == "image/png"
    assert "media_type" not in one(f"data:;base64,{PNG_TEXT}").description
    assert "media_type" not in one(PNG_TEXT).description


def test_a_data_uri_without_base64_is_percent_encoded() -> None:
    item = one("data:text/plain,a%20b%C3%A4")
    assert item.blob is not None
    assert item.blob.data == "a bä".encode()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("https://example.com/a.png", "url"),
        ("HTTP://example.com/a.png", "url"),
        ("base64-encoded-image-data", "opaque"),
        ("...", "opaque"),
        ("data:image/png", "opaque"),
        ("data:image/png;base64,***", "opaque"),
        ("data:image/png;base64,", "opaque"),
        ("", "opaque"),
        ("AAAAA", "opaque"),
    ],
)
def test_everything_else_stays_as_it_was_sent(data: str, kind: str) -> None:
    item = one(data)
    assert item.blob is None
    assert item.description == {"type": "image", "side": "request", "kind": kind, "data": data}


def test_the_senders_own_keys_are_kept_and_never_ours() -> None:
    item = one(PNG_TEXT, side="response", kind="url", sha256="0" * 64, bytes=-1, alt={"a": [1]})
    assert item.description["alt"] == {"a": [1]}
    assert (item.description["side"], item.description["kind"]) == ("request", "base64")
    assert (item.description["sha256"], item.description["bytes"]) == (sha256(PNG).hexdigest(), len(PNG))


def test_a_link_names_no_blob_whatever_its_sender_says() -> None:
    link = one("https://example.com/a.png", sha256="0" * 64)
    assert link.description["sent"] == {"sha256": "0" * 64}
    assert hashes_of([link.description]) == ()


def test_a_blob_that_is_named_twice_counts_once_and_in_order() -> None:
    media = {"request": [PNG_TEXT, "https://x/y"], "response": ["AAAA", PNG_TEXT]}
    stored = items({side: [{"type": "image", "data": data} for data in of] for side, of in media.items()})
    assert [item.side for item in stored] == ["request", "request", "response", "response"]
    assert hashes_of([item.description for item in stored]) == (sha256(PNG).hexdigest(), sha256(bytes(3)).hexdigest())


def test_no_media_are_none() -> None:
    assert media_items(None) == media_items(msgspec.Raw(b"null")) == items({}) == items({"request": None}) == ()
    assert media_json(()) is None


def test_items_are_kept_as_json() -> None:
    item = one("https://x/y", title="ä")
    text = media_json([item])
    assert text is not None
    assert msgspec.json.decode(text) == [dict(item.description)]


@pytest.mark.parametrize(
    "media",
    [[], "x", {"request": {}}, {"request": ["x"]}, {"request": [{"type": "video", "data": "x"}]}, {"response": [{}]}],
)
def test_what_the_api_refuses_is_invalid(media: Any) -> None:
    with pytest.raises(Invalid):
        items(media)


@given(st.text())
def test_any_text_is_kept_or_is_the_bytes_that_it_stands_for(data: str) -> None:
    item = one(data)
    assert item.blob is not None or item.description["data"] == data


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_come_back(content: bytes) -> None:
    for data in (base64.b64encode(content).decode(), f"data:;base64,{base64.b64encode(content).decode()}"):
        blob = one(data).blob
        assert blob is not None
        assert blob.data == content
