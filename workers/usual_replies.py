"""The two shapes of reply that nearly all calls have, read without building what they describe: 2 us instead of 5.

Their types say of each key that `payloads.read_reply` looks at what it must be to be read here; a key that it does not
look at may hold anything. Every other reply is read there, and of one that is read here both say the same. That holds
for text that `check_json_text` has passed: the other reader refuses a number beyond a double wherever it stands, this
one skips it under a key that nobody looks at.
"""

import msgspec

from workers.payloads import Reply, decoded, read_reply
from workers.usual_chat import Chat, read_chat
from workers.usual_messages import Message, read_message

_chats = msgspec.json.Decoder(Chat)
_messages = msgspec.json.Decoder(Message)


def reply_in(text: str | None) -> Reply:
    """What this reply payload says. Any text gives an answer, never an exception."""
    return usual_reply(text) or read_reply(decoded(text))


def usual_reply(text: str | None) -> Reply | None:
    """The same of a reply of the usual shapes; None for any other."""
    if not text or text[0] != "{":
        return None
    try:
        return read_chat(_chats.decode(text)) if '"choices"' in text else read_message(_messages.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None  # another shape, or no JSON at all
