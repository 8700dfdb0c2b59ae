"""gzip on the way: the same bytes, and whole rows as far as a broken download came."""

import gzip
import zlib

import pytest

from ledger.request_log import Bodies
from query_api.export.columns import Item
from query_api.export.compressing import Gzipped, accepts_gzip
from query_api.export.text_forms import Csv
from tests.support.builders import a_request_log

ITEM = Item(a_request_log(), Bodies())


def test_it_is_the_same_file() -> None:
    form, packed = Csv(("id", "cost")), Gzipped(Csv(("id", "cost")))
    plain = form.begin() + form.page([ITEM]) + form.page([]) + form.end()
    assert gzip.decompress(packed.begin() + packed.page([ITEM]) + packed.page([]) + packed.end()) == plain


def test_what_was_sent_of_a_broken_one_can_be_read_and_is_known_to_be_broken() -> None:
    packed = Gzipped(Csv(("id",)))
    sent = packed.begin() + packed.page([ITEM])
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(sent) == f"id\r\n{ITEM.log.id}\r\n".encode()
    assert not reader.eof
    with pytest.raises(EOFError):
        gzip.decompress(sent)


@pytest.mark.parametrize("header", ["gzip", "br, gzip;q=0.5", "GZIP", "*", "deflate , gzip"])
def test_a_client_that_takes_gzip_gets_it(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize("header", ["", "identity", "br", "gzip;q=0", "gzip; q=0.0, br"])
def test_a_client_that_does_not_is_spared(header: str) -> None:
    assert not accepts_gzip(header)
