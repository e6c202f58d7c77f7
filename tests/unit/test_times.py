"""Times as text: the quick way and the tolerant way are one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from poller import times
from poller.model import SECOND

USUAL = st.builds(
    lambda moment, fraction: f"{moment:%Y}".zfill(4) + f"{moment:-%m-%dT%H:%M:%S}{fraction}Z",
    st.datetimes(),
    st.sampled_from(["", ".0", ".000", ".120", ".5"]) | st.from_regex(r"\.[0-9]{1,9}", fullmatch=True),
)
ODD = st.sampled_from(
    ["", "0", "9", "60", "Z", "z", "+01:00", "-0530", " ", "\t", ".", ",", ":", "-", "T", "t", "W01-1", "٣", "\ud800", "24"]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A time in the usual form with a piece of it replaced."""
    text = draw(USUAL)
    begin = draw(st.integers(0, len(text)))
    return text[:begin] + draw(ODD) + text[begin + draw(st.integers(0, 3)) :]


@given(USUAL)
@example("0001-01-01T00:00:00Z")
@example("9999-12-31T23:59:59.999999999Z")
def test_the_usual_form_is_read_the_quick_way(text: str) -> None:
    """A UTC time with whole seconds or up to nine digits more is read quickly, to the same value as by the tolerant way."""
    assert times._usual(text) == times._tolerant(text) is not None


@given(mutated())
@example("2026-12-31T23:59:60Z")
@example("2026-02-30T00:00:00Z")
@example("2026-11-26T24:00:00Z")
@example("2026-11-26T20:00:00.Z")
@example("2026-11-26T20:00:00.1234567890Z")
@example("2026-11-26T20:00:00.٣Z")
def test_the_quick_way_never_differs(text: str) -> None:
    """Whatever the quick way does not leave to the tolerant one, both read alike."""
    assert times._usual(text) in (None, times._tolerant(text))


@given(st.integers(0, 253_402_300_799), st.integers(0, 999_999))
def test_equal_instants_have_equal_texts(second: int, micros: int) -> None:
    """A time comes back as it was formatted, and the same instant in another form has the same text."""
    instant = second * SECOND + micros
    text = times.format_rfc3339(instant)
    other = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).isoformat(timespec="microseconds")
    for each in (text, other, other.replace("+00:00", "Z")):
        found = times.parse_rfc3339(each)
        assert found is not None
        assert (found.instant, found.text) == (instant, text)
