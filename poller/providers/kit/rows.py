"""An answer's rows as their own bytes: whole where the answer is whole JSON, else one by one; and one row as an object."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Generic, TypeVar

import msgspec

from ...errors import BadPage, Unreachable
from ...memory import Memory
from ...model import BadRow, Observation, Row
from ...times import Time
from .values import identity

_HALF = re.compile(
    rb"((?:[^\\]++|\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?!u[dD][89a-fA-F][0-9a-fA-F]{2}).)){1,4096})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)
"""Half a surrogate pair; or, as its group, a stretch without one: so a text of a million escapes is taken in some hundred pieces."""


def mended(body: bytes) -> bytes:
    """JSON without half surrogate pairs (an emoji cut in two): UTF-8 has no form for them, and one would spoil the whole answer."""
    if b"\\" not in body or (b"\\ud" not in body and b"\\uD" not in body):
        return body
    return _HALF.sub(lambda found: found[1] or b"\\ufffd", body)


ROWS_MAX = 100_000
"""Rows of one answer; no provider's page is within two orders of magnitude."""


PAGES_KEPT = 64
"""Pages of which :func:`read_once` remembers what was read, at most twice as many: the next sweep lists most of them again."""

PAGE_BYTES_KEPT = 64 << 10
"""Bytes of the largest page that is remembered, so that the memory of all stays below a few MiB."""


ROWS_KEPT, ROW_BYTES_KEPT = 16_384, 1 << 10
"""Rows of which :class:`RowsReadOnce` remembers what was read, at most twice as many, and bytes of the largest of them."""

T = TypeVar("T")


def read_once(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """For what depends on a page's bytes alone: the same page need not be read again."""
    known = Memory[bytes, T](PAGES_KEPT)

    @lru_cache(maxsize=1)  # a page is asked for its rows two or three times in a row
    def remembered(raw: bytes) -> T:
        found = known.all_of([raw])[0]
        if found is None:
            found = read(raw)
            known.keep(raw, found)
        return found

    @wraps(read)
    def reading(raw: bytes) -> T:
        return remembered(raw) if len(raw) <= PAGE_BYTES_KEPT else read(raw)

    return reading


class RowsReadOnce(Generic[T]):
    """A reader of rows that depends on their bytes alone: a row that is listed again, byte for byte, is not read again, but looked up.

    Long answers are read by threads of their own; which of them keeps a row does not matter.
    """

    def __init__(self, read: Callable[[bytes], T]) -> None:
        self._read = read
        self._known = Memory[bytes, T](ROWS_KEPT)

    def __call__(self, raws: list[bytes]) -> list[T]:
        """Each row as it was read, in their order."""
        return [self._new(raw) if row is None else row for raw, row in zip(raws, self._known.all_of(raws), strict=True)]

    def _new(self, raw: bytes) -> T:
        row = self._read(raw)
        if len(raw) <= ROW_BYTES_KEPT:
            self._known.keep(raw, row)
        return row


_raws = msgspec.json.Decoder(list[msgspec.Raw])


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What a JSON reader raises for bytes that are not JSON."""


def listed(body: bytes, names: tuple[str, ...]) -> tuple[list[bytes], dict[str, msgspec.Raw]]:
    """The rows of a bare array, or of an object that wraps one under one of ``names`` (case does not matter).

    Each row as its own bytes; with the object's other members. null is an empty list. A page with
    one malformed row is split at its brackets, so that the others are read; a malformed row that
    can be read leniently is handed over as the JSON that was meant. Raises Unreachable for what is
    not JSON, BadPage for JSON of another shape.
    """
    try:
        return _listed(body, names)
    except NOT_JSON:
        return _split(body, names)


def _listed(body: bytes, names: tuple[str, ...]) -> tuple[list[bytes], dict[str, msgspec.Raw]]:
    start = body.lstrip()[:1]
    if start == b"[":
        return _counted(list(map(bytes, _raws.decode(body)))), {}
    if start == b"{":
        members = {name.lower(): raw for name, raw in _object.decode(body).items()}
        inner = bytes(_member(members, names))
        return ([] if inner.strip() == b"null" else _listed(inner, ())[0]), members
    if msgspec.json.decode(body) is not None:
        raise BadPage("the answer is not a list of messages")
    return [], {}


def _member(members: dict[str, msgspec.Raw], names: tuple[str, ...]) -> msgspec.Raw:
    """The list among an object's members, which loses it."""
    name = next((name for name in names if name in members), None)
    if name is None:
        raise BadPage("the answer has no list of messages")
    return members.pop(name)


def _counted(rows: list[bytes]) -> list[bytes]:
    if len(rows) > ROWS_MAX:
        raise BadPage(f"the answer has more than {ROWS_MAX} rows")
    return rows


def _split(body: bytes, names: tuple[str, ...]) -> tuple[list[bytes], dict[str, msgspec.Raw]]:
    """A page with a malformed part, cut at its own commas. Raises Unreachable where its brackets do not close."""
    inner, members = body.strip(), {}
    wrapped = inner[:1] == b"{"
    if wrapped:
        for name, value in map(_named, parts_of(inner)):
            members[name] = msgspec.Raw(value if name in names or _whole(value) else b"null")
        inner = bytes(_member(members, names))
    if inner[:1] != b"[" and not (wrapped and inner == b"null"):
        raise BadPage("the answer is not a list of messages") if wrapped else Unreachable("the answer is not whole JSON")
    return _counted([_meant(part) for part in (parts_of(inner) if inner != b"null" else [])]), members


_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
"""A whole string, a quote that opens a string without an end, a bracket, or a comma."""


def parts_of(text: bytes) -> list[bytes]:
    """The parts between the outermost brackets of an array or object, cut at their commas, whatever they hold.

    Only strings and brackets are looked at, so a part may be malformed within. Raises Unreachable
    where a string or a bracket does not close, or something follows the last bracket.
    """
    parts: list[bytes] = []
    depth = begin = end = 0
    for found in _TOKEN.finditer(text):
        token, at = found[0], found.start()
        if end or token == b'"':
            raise Unreachable("the answer is not whole JSON")
        if token in (b"[", b"{"):
            depth += 1
            begin = at + 1 if depth == 1 else begin
        elif token in (b"]", b"}"):
            depth -= 1
            end = found.end() if depth == 0 else 0
        if end or (token == b"," and depth == 1):
            parts.append(text[begin:at].strip())
            begin = at + 1
    if not end or text[end:].strip():
        raise Unreachable("the answer is not whole JSON")
    return [] if parts == [b""] else parts


def _named(part: bytes) -> tuple[str, bytes]:
    """A member of an object: its name in lower case, and its value; both empty where it is none."""
    found = _TOKEN.match(part)
    _, _, value = part[found.end() :].partition(b":") if found else (b"", b"", b"")
    return found[0][1:-1].decode("utf-8", "replace").lower() if found else "", value.strip()


def _whole(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except NOT_JSON:
        return False
    return True


def _meant(raw: bytes) -> bytes:
    """A row that is JSON as it is; one that can be read leniently as the JSON that was meant; any other as it is."""
    if _whole(raw):
        return raw
    value = _leniently(raw)
    try:
        return raw if value is None else msgspec.json.encode(value)
    except (UnicodeEncodeError, RecursionError, msgspec.MsgspecError):
        return raw


def count_of(body: bytes) -> int:
    """A count, printed as a string or as a number. Raises Unreachable for what is not JSON, BadPage for what is no number."""
    try:
        value = msgspec.json.decode(body)
    except NOT_JSON:
        raise Unreachable("the answer is not whole JSON") from None
    try:
        return msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        raise BadPage("the answer is not a count") from None


def row_reader(
    id_name: str,
    created_names: tuple[str, ...],
    time: Callable[[object], Time | None],
    *,
    no_id: tuple[object, ...] = (None, ""),
    older_id_name: str | None = None,
) -> RowsReadOnce[Row | BadRow]:
    """A reader of the cheap facts of rows: the id of each, and the first of its members that is a creation time.

    ``no_id``: values of the id that mean that there is none; ``older_id_name``: where older rows have their id instead.
    """
    ids = {id_name: "id"} | ({older_id_name: "older"} if older_id_name else {})
    names = ids | {name: f"created{number}" for number, name in enumerate(created_names)}
    facts = msgspec.defstruct(
        "Facts", [(field, Any, None) for field in names.values()], rename={field: name for name, field in names.items()}
    )
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(facts).decode

    def row_of(raw: bytes) -> Row | BadRow:
        try:
            found = msgspec.structs.astuple(decode(raw))
        except NOT_JSON:
            return BadRow("not_an_object", "", raw)
        id_ = found[1] if older_id_name and found[0] in no_id else found[0]
        return row_from(raw, id_, list(found[len(ids) :]), (id_name, created_names[0]), time, no_id)

    return RowsReadOnce(row_of)


def row_from(
    raw: bytes,
    id_: object,
    created: list[object],
    names: tuple[str, str],
    time: Callable[[object], Time | None],
    no_id: tuple[object, ...] = (None, ""),
) -> Row | BadRow:
    """A row of its facts: what stands for its id, and for its creation times in the order of trust."""
    known = identity(id_)
    if known is None or id_ in no_id:
        return BadRow("missing" if id_ in no_id else "wrong_type", names[0], raw)
    for value in created:
        found = time(value)
        if found is not None:
            return Row(known, found.instant, raw)
    return BadRow("missing" if all(value is None for value in created) else "bad_time", names[1], raw, known)


def observed(
    row: Row, created_name: str, time: Callable[[object], Time | None], observation_of: Callable[[str, dict[str, Any], Time], Observation]
) -> Observation | BadRow:
    """A row, read tolerantly: what ``observation_of`` makes of its id, its members and its time of creation."""
    value = decoded(row.raw)
    if isinstance(value, BadRow):
        return value
    created = time(value.get(created_name))
    return BadRow("bad_time", created_name, row.raw, row.id) if created is None else observation_of(row.id, value, created)


def decoded(raw: bytes) -> dict[str, Any] | BadRow:
    """A row as an object; a number too large for one is kept as its text.

    The one place where a row's texts come from: each of them is UTF-8, names of members too.
    """
    try:
        value = msgspec.json.decode(raw)
    except NOT_JSON:
        value = _leniently(raw)
    if value is None:
        return BadRow("not_json", "", raw)
    if raw.count(b"[") + raw.count(b"{") > NESTING_MAX and _too_deep(value):
        return BadRow("too_deep", "", raw)
    return value if isinstance(value, dict) else BadRow("not_an_object", "", raw)


NESTING_MAX = 100
"""No provider's row is a tenth as deep; what reads and writes it goes one call deeper for each level."""


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        containers = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [leaf for each in containers for leaf in each]
    return bool(level)


def _leniently(raw: bytes) -> Any:
    """By the standard library, which is slower and has no limits of number; None for what is no JSON either.

    Raw control characters in texts, escapes that only JavaScript has, NaN and Infinity (null), and surrogate
    pairs that were written as two characters each (CESU-8) are read as they were meant.
    """
    try:
        text = raw.decode("utf-8", "surrogatepass")
        if not text.isascii():
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return _clean(json.loads(_FOREIGN_ESCAPE.sub(_escape, text), strict=False, parse_constant=lambda _: None, parse_float=_number))
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    """Every text, names too, as UTF-8 can carry it: half a surrogate pair is replaced."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(name): _clean(leaf) for name, leaf in value.items()}
    return [_clean(leaf) for leaf in value] if isinstance(value, list) else value


_FOREIGN_ESCAPE = re.compile(r'((?:[^\\]++|\\["\\/bfnrtu]){1,4096})|\\(?:x([0-9a-fA-F]{2})|(.))', re.DOTALL)
"""An escape that JSON does not have; or, as its first group, a stretch without one, as in :data:`_HALF`."""


def _escape(found: re.Match[str]) -> str:
    """The hexadecimal escape of JavaScript by its code, a character that needs no escape as itself; a stretch as it is."""
    return found[1] or (f"\\u00{found[2]}" if found[2] else found[3])


def _number(text: str) -> float | str:
    """A number too large for one is kept as its text."""
    value = float(text)
    return value if math.isfinite(value) else text
