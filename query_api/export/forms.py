"""What every format of an export can do, and which formats there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from query_api.export.arrow_forms import ArrowStream, ParquetFile
from query_api.export.columns import Item
from query_api.export.text_forms import Csv, Ndjson


class Form(Protocol):
    """One export on its way into bytes. The parts, one after the other, are the file; without `end` it is broken.

    Called from one thread at a time, never the event loop's: a page takes many milliseconds.
    """

    def begin(self) -> bytes:
        """What stands before the first row."""
        ...

    def page(self, items: Sequence[Item]) -> bytes:
        """These rows, or as much as is ready of what came so far."""
        ...

    def end(self) -> bytes:
        """What is left, and what closes the file."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be asked for."""

    form: Callable[[Sequence[str]], Form]  # from the names of the columns
    media_type: str
    extension: str
    is_text: bool  # worth compressing on the way


FORMATS: Mapping[str, Format] = {
    "csv": Format(Csv, "text/csv; charset=utf-8; header=present", "csv", is_text=True),
    "ndjson": Format(Ndjson, "application/x-ndjson", "ndjson", is_text=True),
    "parquet": Format(ParquetFile, "application/vnd.apache.parquet", "parquet", is_text=False),
    "arrow": Format(ArrowStream, "application/vnd.apache.arrow.stream", "arrows", is_text=False),
}
