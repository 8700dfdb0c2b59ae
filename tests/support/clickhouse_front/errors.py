"""Why a statement failed, in the engine's words and with its code: clients decide by the code, never by the status."""

import re

SYNTAX_ERROR = 62
NOT_IMPLEMENTED = 48
UNKNOWN_SETTING = 115

_CODE = re.compile(r"Code: (\d+)\.")


class StatementError(Exception):
    """A statement was refused or failed; `code` is None when the engine gave none."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


def refused(code: int, reason: str) -> StatementError:
    """An error of the front itself, worded as the engine words its own."""
    return StatementError(f"Code: {code}. DB::Exception: {reason}", code)


def from_engine(message: str) -> StatementError:
    """The engine's error; the outermost code is the first one in its text."""
    found = _CODE.search(message)
    return StatementError(message, int(found.group(1)) if found else None)
