"""An answer's body as it was meant: unpacked within a limit, and in UTF-8. What every browser and curl accept is accepted."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import AsyncIterable, Iterator, Mapping

import anyio
import anyio.lowlevel

from ...errors import BadPage, Unreachable

RESPONSE_BYTES_MAX = 32 << 20
"""Bytes of one answer, packed and unpacked: a page of a thousand long messages is far below, a bomb above."""

PIECE_BYTES = 1 << 20
"""Bytes that are unpacked at once; other work goes on between two pieces."""

INPUT_BYTES = 64 << 10
"""Packed bytes that are handed to the unpacker at once."""

CODINGS_MAX = 3
"""Codings that may lie over each other; nobody uses two."""

_GZIP, _ZLIB, _RAW = 31, 15, -15
"""How zlib is told of a format (its ``wbits``)."""


async def body_of(headers: Mapping[str, str], parts: AsyncIterable[bytes]) -> bytes:
    """The body of an answer. Raises BadPage over the limit, Unreachable where it cannot be unpacked."""
    body = await _joined(parts)
    packed = headers.get("content-encoding")
    codings = [] if packed is None else [each.strip().lower() for each in packed.split(",")]
    codings = [each for each in codings if each not in ("", "identity")]
    if len(codings) > CODINGS_MAX:
        raise BadPage("the answer is packed too often")
    for coding in reversed(codings):
        body = await _joined(_yielding(_unpacked(body, coding)))
    return in_utf8(body, headers.get("content-type", ""))


async def _joined(parts: AsyncIterable[bytes]) -> bytes:
    """All parts as one; what is over the limit is not gathered."""
    found, size = list[bytes](), 0
    async for part in parts:
        size += len(part)
        if size > RESPONSE_BYTES_MAX:
            raise BadPage(f"the answer is larger than {RESPONSE_BYTES_MAX >> 20} MiB")
        found.append(part)
    return b"".join(found)


async def _yielding(pieces: Iterator[bytes]) -> AsyncIterable[bytes]:
    for piece in pieces:
        yield piece
        if len(piece) >= PIECE_BYTES:
            await anyio.lowlevel.checkpoint()


def _unpacked(body: bytes, coding: str) -> Iterator[bytes]:
    """The pieces of a packed body; ``deflate`` with or without its wrapper (RFC 9110 section 8.4.1.2)."""
    if coding in ("gzip", "x-gzip"):
        return _inflated(body, _GZIP)
    if coding == "deflate":
        wrapped = len(body) >= 2 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
        return _inflated(body, _ZLIB if wrapped else _RAW)
    raise Unreachable("the answer is packed in a way that was not asked for")


def _inflated(body: bytes, wbits: int) -> Iterator[bytes]:
    """One member after the other (RFC 1952 section 2.2); what follows the last and is none is left out, as gzip does."""
    view, at = memoryview(body), 0
    while at < len(body):
        engine = zlib.decompressobj(wbits)
        while not engine.eof:
            given = engine.unconsumed_tail or view[at : at + INPUT_BYTES]
            at += 0 if engine.unconsumed_tail else len(given)
            if not given:
                raise Unreachable("the answer is cut")
            try:
                yield engine.decompress(given, PIECE_BYTES)
            except zlib.error:
                raise Unreachable("the answer cannot be unpacked") from None
        at -= len(engine.unused_data)
        if wbits != _GZIP or bytes(view[at : at + 2]) != b"\x1f\x8b":
            return


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
_CHARSETS = frozenset(
    {"iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "shift_jis", "euc_jp", "big5"}
)
"""Character sets that are believed where a body is not UTF-8, by the names of Python's codecs."""


def in_utf8(body: bytes, content_type: str) -> bytes:
    """A text as UTF-8: a byte-order mark says what it is, then UTF-8 is tried (RFC 8259 section 8.1), then its ``charset``.

    A body that is none of these stays as it is: each of its rows is judged by itself.
    """
    if body.startswith(codecs.BOM_UTF8):
        return body[len(codecs.BOM_UTF8) :]
    for mark, codec in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace").encode("utf-8", "replace")
    if body[:4].count(0) and (codec := _without_mark(body)):
        return body.decode(codec, "replace").encode("utf-8", "replace")
    found = _CHARSET.search(content_type)
    return body if found is None else _from_charset(body, found[1])


def _without_mark(body: bytes) -> str | None:
    """JSON begins with two ASCII characters, so where its zero bytes lie tells how they are written (RFC 4627 section 3)."""
    zeros = tuple(byte == 0 for byte in body[:4])
    if zeros[:2] in ((False, True), (True, False)) and len(body) % 2 == 0 and zeros[1:3] != (True, True):
        return "utf-16-le" if zeros[1] else "utf-16-be"
    return None


def _from_charset(body: bytes, name: str) -> bytes:
    try:
        codec = codecs.lookup(name).name
        if codec not in _CHARSETS or _is_utf8(body):
            return body
        return body.decode(codec).encode("utf-8", "replace")
    except (LookupError, UnicodeDecodeError):
        return body


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
