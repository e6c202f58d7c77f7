"""Bodies as every browser and curl accept them, over real sockets and both transports."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import BadPage, ProviderError, Unreachable
from poller.polling.client.bodies import PIECE_BYTES, RESPONSE_BYTES_MAX, body_of
from tests.sockets.test_hostile_bytes import _whole, fetched, server

TEXT = '[{"id": "1", "text": "\u00e4\u20ac\U0001f600"}]'
BODY = TEXT.encode()
RAW = zlib.compressobj(wbits=-15)
DEFLATED = RAW.compress(BODY) + RAW.flush()
BIG = json.dumps([{"id": str(n), "text": "\u00e4" * 100} for n in range(20_000)], ensure_ascii=False).encode()

GOOD: dict[str, tuple[bytes, list[bytes]]] = {
    "plain": (BODY, []),
    "a byte-order mark": (b"\xef\xbb\xbf" + BODY, []),
    "UTF-16 with its mark": (TEXT.encode("utf-16"), []),
    "UTF-16, big end first": (b"\xfe\xff" + TEXT.encode("utf-16-be"), [b"content-type: application/json"]),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), []),
    "UTF-16, big end first, without a mark": (TEXT.encode("utf-16-be"), []),
    "UTF-32 with its mark": (TEXT.encode("utf-32"), []),
    "UTF-16 in gzip": (gzip.compress(TEXT.encode("utf-16")), [b"content-encoding: gzip"]),
    "gzip": (gzip.compress(BODY), [b"content-encoding: gzip"]),
    "x-gzip in capitals": (gzip.compress(BODY), [b"content-encoding: X-GZIP"]),
    "two members": (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), [b"content-encoding: gzip"]),
    "many members": (b"".join(gzip.compress(BODY[n : n + 1]) for n in range(len(BODY))), [b"content-encoding: gzip"]),
    "an empty member at the end": (gzip.compress(BODY) + gzip.compress(b""), [b"content-encoding: gzip"]),
    "zeros behind the last member": (gzip.compress(BODY) + b"\0" * 512, [b"content-encoding: gzip"]),
    "deflate with its wrapper": (zlib.compress(BODY), [b"content-encoding: deflate"]),
    "deflate without": (DEFLATED, [b"content-encoding: deflate"]),
    "identity": (BODY, [b"content-encoding: identity"]),
    "an empty coding": (BODY, [b"content-encoding: "]),
    "gzip twice": (gzip.compress(gzip.compress(BODY)), [b"content-encoding: gzip, gzip"]),
    "deflate in gzip, in two headers": (gzip.compress(zlib.compress(BODY)), [b"content-encoding: deflate", b"content-encoding: gzip"]),
    "a charset in quotes": (BODY, [b'content-type: application/json; charset="UTF-8"']),
    "a charset that is none": (BODY, [b"content-type: application/json; charset=wonderful"]),
    "a charset that lies": (BODY, [b"content-type: application/json;charset=ISO-8859-1"]),
    "a web page's type": (BODY, [b"content-type: text/html; charset=utf-8"]),
    "a large body": (gzip.compress(BIG), [b"content-encoding: gzip"]),
}
CHARSETS = {
    "iso-8859-1": '["\u00e4"]',
    "windows-1252": '["\u20ac"]',
    "Shift_JIS": '["\u3042"]',
    "gb18030": '["\u4f60"]',
    "utf-16le": '["\u20ac"]',
}
CUT = {"gzip": gzip.compress(BODY)[:-9], "gzip ": gzip.compress(BODY)[:5], "deflate": zlib.compress(BODY)[:-5], "deflate ": DEFLATED[:-1],
       "gzip, gzip": gzip.compress(gzip.compress(BODY)[:-9]), "br": BODY, "zstd": BODY, "gzip  ": BODY}  # fmt: skip


@pytest.mark.parametrize("ca", [False, True], ids=["aiohttp", "httpx"])
@pytest.mark.parametrize("name", list(GOOD))
def test_what_every_browser_reads_is_read(name: str, ca: bool, tmp_path: Path) -> None:
    """The same rows, however they are packed and written."""
    sent, headers = GOOD[name]
    with server(lambda found: found.sendall(_whole(sent, *headers))) as url:
        assert fetched(url, tmp_path, ca=ca) == (BIG if name == "a large body" else BODY)


async def _parts(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


def read(headers: dict[str, str], body: bytes, size: int = 1 << 16) -> bytes:
    """As the client reads it."""

    async def reading() -> bytes:
        return await body_of(headers, _parts(body, size))

    return anyio.run(reading)


@pytest.mark.parametrize("charset", list(CHARSETS))
def test_a_charset_is_believed_where_a_body_is_not_utf_8(charset: str) -> None:
    """The text that was meant."""
    text = CHARSETS[charset]
    assert read({"content-type": f"application/json; charset={charset}"}, text.encode(charset)) == text.encode()


def test_bytes_that_are_no_text_stay_for_their_row() -> None:
    """One row's bad byte changes nothing of the others, whatever charset is said."""
    body = b'["a\xf6b", "\xc3\xa4"]'
    assert read({}, body) == read({"content-type": "application/json; charset=utf-8"}, body) == body


@pytest.mark.parametrize("coding", list(CUT))
def test_what_is_cut_or_packed_otherwise_is_no_answer(coding: str) -> None:
    """It is asked for again, and no part of it is taken."""
    with pytest.raises(Unreachable):
        read({"content-encoding": coding.strip()}, CUT[coding])


@pytest.mark.parametrize("codings", ["gzip", "gzip, gzip", "deflate"])
def test_a_bomb_is_refused(codings: str) -> None:
    """In whatever layers it is packed."""
    body = b" " * (RESPONSE_BYTES_MAX + 1)
    for coding in codings.split(", "):
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    with pytest.raises(BadPage):
        read({"content-encoding": codings}, body)
    with pytest.raises(BadPage):
        read({"content-encoding": "gzip, gzip, gzip, gzip"}, gzip.compress(b"[]"))


def test_a_body_at_the_limit_is_read() -> None:
    """Packed or not; one byte more is too much."""
    body = b"[" + b" " * (RESPONSE_BYTES_MAX - 2) + b"]"
    assert read({}, body) == body
    assert read({"content-encoding": "gzip"}, gzip.compress(body)) == body
    with pytest.raises(BadPage):
        read({}, body + b" ")
    assert PIECE_BYTES < RESPONSE_BYTES_MAX


@given(
    st.binary(max_size=200),
    st.sampled_from(["", "gzip", "deflate", "gzip, deflate", "br", "identity,gzip", ",", "\u00e4"]),
    st.sampled_from(["", "application/json; charset=utf-16", "text/html;charset=\x00", "x; charset='big5'"]),
    st.booleans(),
)
def test_any_body_is_read_or_an_error_of_ours(body: bytes, coding: str, kind: str, packed: bool) -> None:
    """Never another exception."""
    try:
        read({"content-encoding": coding, "content-type": kind}, gzip.compress(body) if packed else body, 7)
    except ProviderError:
        return
