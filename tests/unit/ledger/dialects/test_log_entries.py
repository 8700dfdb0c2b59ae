"""What log entries say: exact costs, durations, and media of every kind."""

from typing import Any

import msgspec
import pytest

from ledger.dialects import cut, log_entries
from ledger.dialects.log_entries import MediaKind
from ledger.errors import Invalid, TooLarge

MIB_10 = 10 * 1024 * 1024


def media(value: Any) -> list[log_entries.MediaItem]:
    return list(log_entries.media_of(msgspec.Raw(msgspec.json.encode(value))))


def image(data: Any, **more: Any) -> dict[str, Any]:
    return {"type": "image", "data": data} | more


@pytest.mark.parametrize(
    ("text", "pico_usd"),
    [
        ("0.001", 1_000_000_000),
        ("0", 0),
        ("-0.0", 0),
        ("1", 10**12),
        ("9200000", 9_200_000 * 10**12),
        ("0.1234567890125", 123_456_789_012),  # half to even
        ("0.1234567890135", 123_456_789_014),
        ("1.00000000000000000000000000000000000000001", 10**12),
        ("1e-13", 0),
        ("1e-99999999999999999999", 0),
        ("12E-1", 1_200_000_000_000),
        ("null", None),
    ],
)
def test_a_cost_is_read_from_its_decimal_text(text: str, pico_usd: int | None) -> None:
    assert log_entries.cost_pico_usd(cut(f'{{"cost":{text}}}'.encode())) == pico_usd


@pytest.mark.parametrize("text", ["-0.001", "9200001", "1e300", '"1"', "true", "[]"])
def test_a_cost_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="cost must be"):
        log_entries.cost_pico_usd(cut(f'{{"cost":{text}}}'.encode()))


def test_an_absent_figure_is_unknown() -> None:
    assert log_entries.cost_pico_usd({}) is None
    assert log_entries.duration_ms({}) is None


def test_a_duration_is_sent_in_seconds() -> None:
    assert log_entries.duration_ms(cut(b'{"duration":2.5}')) == 2500.0


@pytest.mark.parametrize("text", ["-1", "1e13", '"2"', "false"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="duration must be"):
        log_entries.duration_ms(cut(f'{{"duration":{text}}}'.encode()))


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        ("iVBORw0KGgo=", MediaKind.BASE64, 8),
        ("iVBO\nRw0K\n", MediaKind.BASE64, 6),
        ("AA==", MediaKind.BASE64, 1),
        ("base64-encoded-image-data", MediaKind.OPAQUE, 0),
        ("...", MediaKind.OPAQUE, 0),
        ("", MediaKind.OPAQUE, 0),
        ("====", MediaKind.OPAQUE, 0),
        ("AAAA====", MediaKind.OPAQUE, 0),
        ("AA=A", MediaKind.OPAQUE, 0),
        ("b\u00e4", MediaKind.OPAQUE, 0),
        ("https://example.com/a.jpg", MediaKind.URL, 0),
        ("HTTP://example.com", MediaKind.URL, 0),
        ("data:image/png;base64,iVBORw0KGgo=", MediaKind.DATA_URI, 8),
        ("DATA:image/svg+xml,%3Csvg%3E", MediaKind.DATA_URI, 5),
        ("data:without-a-comma", MediaKind.OPAQUE, 0),
    ],
)
def test_the_kind_of_a_medium_is_judged_by_its_form(data: str, kind: MediaKind, size: int) -> None:
    assert log_entries.media_kind(data) is kind
    assert log_entries.decoded_size(data, kind) == size


def test_media_come_side_by_side_with_all_their_keys() -> None:
    items = media({"response": [image("...", title="b")], "request": [image("AA==", custom=1)], "other": 5})
    assert [(item.side, item.kind, item.data) for item in items] == [
        ("request", MediaKind.BASE64, "AA=="),
        ("response", MediaKind.OPAQUE, "..."),
    ]
    assert set(items[0].fields) == {"type", "data", "custom"}


def test_escapes_do_not_hide_what_a_text_is() -> None:
    [item] = log_entries.media_of(msgspec.Raw(b'{"request":[{"type":"\\u0069mage","data":"https:\\/\\/example.com"}]}'))
    assert item.kind is MediaKind.URL


@pytest.mark.parametrize("value", [None, {}, {"request": None, "response": []}])
def test_there_may_be_no_media(value: Any) -> None:
    assert media(value) == []
    assert list(log_entries.media_of(None)) == []


@pytest.mark.parametrize(
    "value",
    [
        [],
        "x",
        {"request": {}},
        {"request": [5]},
        {"request": [{"type": "image"}]},
        {"response": [{"type": "video", "data": "x"}]},
        {"response": [{"type": "image", "data": 5}]},
        {"request": [image("x")] * (log_entries.MAX_MEDIA_ITEMS + 1)},
    ],
)
def test_what_is_no_list_of_images_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="media"):
        media(value)


def test_the_limit_of_an_image_is_10_mib_once_decoded() -> None:
    exactly = "A" * (MIB_10 // 3 * 4) + "AA=="
    assert log_entries.decoded_size(exactly, MediaKind.BASE64) == MIB_10
    assert len(media({"request": [image(exactly)]})) == 1
    with pytest.raises(TooLarge):
        media({"request": [image("A" * (MIB_10 // 3 * 4 + 4))]})
