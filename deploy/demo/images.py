"""Requests and replies of image generation, and small pictures to show: real ones, drawn here."""

import struct
import zlib
from base64 import b64encode
from typing import Any

from deploy.demo.calls import Call

Json = dict[str, Any]

_EDGE = 24  # pixels


def request(call: Call) -> Json:
    """What the application sent."""
    return {"model": call.model.name, "prompt": call.exchange.question, "size": "1024x1024", "n": 1}


def reply(call: Call) -> Json:
    """What came back; the picture itself is reported beside it."""
    tokens = call.tokens
    return {
        "created": call.requested_at // 1000,
        "data": [{"url": f"https://images.example.com/{call.reply_id}.png"}],
        "usage": {
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
            "total_tokens": tokens.total,
            "input_tokens_details": {"text_tokens": tokens.input, "image_tokens": 0},
        },
    }


def picture(name: str) -> str:
    """A PNG in base64 that looks different for every name (of hexadecimal digits)."""
    red, green, blue = bytes.fromhex(name[:6])
    rows = (
        b"\0" + b"".join(bytes(((red + 8 * x) % 256, (green + 8 * y) % 256, blue)) for x in range(_EDGE))
        for y in range(_EDGE)
    )
    header = struct.pack(">IIBBBBB", _EDGE, _EDGE, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(rows), 9)
    png = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    return b64encode(png).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
