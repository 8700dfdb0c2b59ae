"""Which image a blob is, judged by its first bytes alone: what a caller called it does not matter.

SVG is not among them: it is a document that can run scripts, not a picture.
"""


def image_type(data: bytes) -> str | None:
    """The media type of an image that a browser may show, or None."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    if data.startswith(b"BM") and len(data) >= 26 and data[6:10] == bytes(4):  # two letters alone prove little
        return "image/bmp"
    return None
