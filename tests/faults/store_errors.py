"""Answers of ClickHouse that say that something is wrong with ClickHouse, as a proxy gives them in its place."""

from tests.faults.proxy import Behaviour, http_answer

INSERTS = b"insert_deduplication_token"
"""In the first line of every insert of ours, and of nothing else."""


def store_error(code: int, text: str, *, status: int = 500, only: bytes = b"") -> Behaviour:
    """The error of this code, in the form in which clients look for it."""
    body = f"Code: {code}. DB::Exception: {text}\n".encode()
    return http_answer(status, body, "Content-Type: text/plain", f"X-ClickHouse-Exception-Code: {code}", only=only)
