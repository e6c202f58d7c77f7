"""The rows of an answer: one malformed row is one dead letter, and stops no other."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.errors import BadPage, ProviderError, Unreachable
from poller.memory import ROUNDS
from poller.model import BadRow, Row
from poller.providers.contract import Response
from poller.providers.kit.answers import accept
from poller.providers.kit.rows import (
    PAGES_KEPT,
    ROW_BYTES_KEPT,
    ROWS_KEPT,
    ROWS_MAX,
    RowsReadOnce,
    decoded,
    listed,
    mended,
    parts_of,
    read_once,
    row_reader,
)
from poller.times import epoch

NAMES = ("data", "messages")
GOOD = b'{"id": "1", "text": "a, b] } \\" \\\\"}'

READ: dict[str, tuple[bytes, Any]] = {
    "a raw line break": (b'{"id": "2", "text": "a\nb"}', "a\nb"),
    "a raw tab": (b'{"id": "2", "text": "a\tb"}', "a\tb"),
    "a raw NUL": (b'{"id": "2", "text": "a\x00b"}', "a\x00b"),
    "a raw escape character": (b'{"id": "2", "text": "\x1b[0m"}', "\x1b[0m"),
    "NaN": (b'{"id": "2", "text": NaN}', None),
    "an infinity": (b'{"id": "2", "text": -Infinity}', None),
    "an escaped apostrophe": (b'{"id": "2", "text": "it\\\'s"}', "it's"),
    "a hexadecimal escape": (b'{"id": "2", "text": "\\x41\\xe9"}', "A\u00e9"),
    "an escape of JavaScript": (b'{"id": "2", "text": "\\v"}', "v"),
    "an escaped backslash before x": (b'{"id": "2", "text": "\\\\x41\n"}', "\\x41\n"),
    "an emoji as two surrogates": (b'{"id": "2", "text": "\xed\xa0\xbd\xed\xb8\x80"}', "\U0001f600"),
    "half of such an emoji": (b'{"id": "2", "text": "\xed\xa0\xbdx"}', "\ufffdx"),
    "such an emoji beside a control character": (b'{"id": "2", "text": "\xed\xa0\xbd\xed\xb8\x80\n"}', "\U0001f600\n"),
    "a number beyond all measure": (b'{"id": "2", "text": 1e999, "x": NaN}', "1e999"),
}
DEAD: dict[str, bytes] = {
    "a byte that is no UTF-8": b'{"id": "2", "text": "\xf6"}',
    "two bytes for a NUL": b'{"id": "2", "text": "\xc0\x80"}',
    "a byte that is no UTF-8 beside NaN": b'{"id": "2", "text": "\xf6", "x": NaN}',
    "a comma at the end": b'{"id": "2", "text": "x",}',
    "a missing comma": b'{"id": "2" "text": "x"}',
    "a bare word": b'{"id": "2", "text": undefined}',
    "a signed number": b'{"id": "2", "text": +1}',
    "brackets of two kinds": b'{"id": "2", "text": [1, 2}, "x": [1}]',
    "nothing between two commas": b"",
    "nesting without end": b'{"id": "2", "text": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}
AROUND = {"bare": b"[%s]", "wrapped": b'{"total": 3, "Messages" : [%s], "bad": NaN, "next": {"page": [1, 2]}}'}


@pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))
@pytest.mark.parametrize("name", list(READ))
def test_a_row_that_is_almost_json_is_read_as_it_was_meant(name: str, around: bytes) -> None:
    """And the rows beside it as they are."""
    raw, text = READ[name]
    rows, _ = listed(around % b", ".join([GOOD, raw, GOOD]), NAMES)
    assert [rows[0], rows[2]] == [GOOD, GOOD]
    value = decoded(rows[1])
    assert isinstance(value, dict)
    assert (value["id"], value.get("text")) == ("2", text)
    json.dumps(value).encode("utf-8")


@pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))
@pytest.mark.parametrize("name", list(DEAD))
def test_a_row_that_cannot_be_read_stops_no_other(name: str, around: bytes) -> None:
    """It keeps its own bytes for its dead letter; the others are read."""
    rows, _ = listed(around % b",".join([GOOD, DEAD[name], GOOD]), NAMES)
    assert rows == [GOOD, DEAD[name], GOOD]
    assert isinstance(decoded(rows[1]), BadRow)


def test_the_members_around_a_list_survive_a_malformed_row() -> None:
    """What pages on is read although a row is malformed; a member that is no JSON is as if it was null."""
    _, members = listed(AROUND["wrapped"] % b"NaN", NAMES)
    assert {name: bytes(raw) for name, raw in members.items()} == {"total": b"3", "bad": b"null", "next": b'{"page": [1, 2]}'}
    assert listed(b'{"messages": null, "bad": NaN}', NAMES)[0] == []
    assert listed(b'{"messages": [ ], "bad": NaN}', NAMES)[0] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"[",
        b"]",
        b'[{"id": "1"}',
        b'[{"id": "1}]',
        b"[][]",
        b"[NaN] x",
        b"{NaN",
        b"NaN",
        b"[1, NaN]]",
        b"<html>",
        b'["',
        b'[\\"]',
    ],
)
def test_what_does_not_close_waits_with_its_stream(body: bytes) -> None:
    """A cut answer is no shorter list: none of its rows is taken."""
    with pytest.raises(Unreachable):
        listed(body, NAMES)


@pytest.mark.parametrize("body", [b"1", b'"x"', b"{}", b'{"messages": {"a": NaN}}', b'{"messages": 1, "x": NaN}', b'{"other": [NaN]}'])
def test_json_of_another_shape_is_a_bad_page(body: bytes) -> None:
    """A malformed member changes nothing of that."""
    with pytest.raises(BadPage):
        listed(body, NAMES)


def test_limits_hold_for_malformed_pages() -> None:
    """Rows are counted, and quotes without an end are looked at once."""
    with pytest.raises(BadPage):
        listed(b"[" + b"NaN," * ROWS_MAX + b"1]", NAMES)
    with pytest.raises(Unreachable):
        listed(b'["' + b'\\"' * 2_000_000, NAMES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@given(st.lists(JSON, max_size=6))
def test_cutting_at_brackets_gives_the_parts_that_a_parser_gives(values: list[Any]) -> None:
    """Whatever brackets, commas, quotes and backslashes the strings hold."""
    assert [json.loads(part) for part in parts_of(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))] == json.loads(
        json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
    )


@given(st.binary(max_size=60) | st.text(alphabet='[]{},:"\\ a1N', max_size=60).map(str.encode))
def test_any_bytes_are_rows_or_an_error_of_ours(body: bytes) -> None:
    """And every row can be looked at."""
    try:
        rows, _ = listed(accept(Response(200, {}, body)), NAMES)
    except ProviderError:
        return
    for row in rows:
        decoded(row)


@given(
    st.lists(
        st.sampled_from([b'{"id":1,"at":5}', b'{"id":1,"at":6}', b'{"id": 1,"at":5}', b'{"id":"1","at":5}', b'{"id":null}', b"[", b"\xf6"])
    )
)
def test_a_row_that_is_listed_again_is_what_it_was_before(raws: list[bytes]) -> None:
    """Rows that differ in a single byte are never taken for each other; whatever came before, each has its own facts and its own bytes."""
    for raw in raws:
        [again], [anew] = READ_ROWS([bytes(bytearray(raw))]), row_reader("id", ("at",), epoch)([raw])
        assert again == anew
        assert isinstance(again, BadRow) == (raw not in (b'{"id":1,"at":5}', b'{"id":1,"at":6}', b'{"id": 1,"at":5}', b'{"id":"1","at":5}'))
        assert again.raw == raw


def test_only_so_many_short_rows_are_remembered() -> None:
    """A row that is listed again is not read again, unless it is long, or many others were listed many times since."""
    read: list[bytes] = []

    def row_of(raw: bytes) -> Row:
        read.append(raw)
        return Row("1", 0, raw)

    read_rows, long = RowsReadOnce(row_of), b"x" * (ROW_BYTES_KEPT + 1)
    others = [b"%d" % number for number in range(ROWS_KEPT)]
    for raws in ([b"a", b"b", b"a"], [long, long], *(others for _ in range(2 * ROUNDS + 2)), [b"a"]):
        assert [row.raw for row in read_rows(raws)] == raws
    assert (read.count(b"a"), read.count(long)) == (3, 2)


READ_ROWS = row_reader("id", ("at",), epoch)


def test_a_long_list_that_is_read_again_is_mostly_remembered() -> None:
    """Although it has more pages than are kept; and a page that is asked for several times in a row is read once, whatever is kept."""
    read = list[bytes]()

    @read_once
    def rows(raw: bytes) -> tuple[bytes, ...]:
        read.append(raw)
        return (raw,)

    pages = [b"[%d]" % number for number in range(PAGES_KEPT + PAGES_KEPT // 2)]
    for _ in range(8):
        assert [rows(page) for page in pages] == [(page,) for page in pages]
    assert len(read) < 4 * len(pages), "a memory of the newest pages would have read all of them eight times"
    before = len(read)
    assert [rows(b"[]") for _ in range(3)] == [(b"[]",)] * 3
    assert len(read) == before + 1


TOKENS = (b"\\", b"\\\\", b"u", b"ud83d", b"\\ud83d", b"\\uDE00", b"\\u00e9", b"x", b"\\n", b"\xc3\xa9", b'"', b"D8", b"\n")


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join))
def test_only_halves_of_surrogate_pairs_are_replaced(text: bytes) -> None:
    """Escape by escape, as JSON is read: what follows an escaped backslash is no escape, and a pair is none of two halves."""
    expected, at = b"", 0
    while at < len(text):
        pair = text[at : at + 12]
        high, low = _code(pair[:6]), _code(pair[6:])
        if high is not None and 0xD800 <= high < 0xDC00 and low is not None and 0xDC00 <= low < 0xE000:
            expected, at = expected + pair, at + 12
        elif high is not None and 0xD800 <= high < 0xE000:
            expected, at = expected + b"\\ufffd", at + 6
        else:
            length = 2 if text[at : at + 1] == b"\\" else 1
            expected, at = expected + text[at : at + length], at + length
    assert mended(text) == expected


def _code(escape: bytes) -> int | None:
    digits = escape[2:]
    return int(digits, 16) if escape[:2] == b"\\u" and len(digits) == 4 and all(c in b"0123456789abcdefABCDEF" for c in digits) else None


def test_a_text_of_a_million_escapes_takes_no_more_memory_than_itself() -> None:
    """A page that holds half an emoji is mended in stretches, not escape by escape."""
    body = b'"' + b"\\u00e9" * 1_000_000 + b'\\ud83d"'
    tracemalloc.start()
    try:
        assert mended(body).endswith(b'\\u00e9\\ufffd"')
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()
