"""The shipped exam for the built-in providers: what they ask, how they read every documented and ambiguous answer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from poller.model import SECOND, BadRow, Observation, Row, Stream
from poller.providers import exam
from poller.providers.contract import Headers, Request, Response, Skipped, Window
from poller.providers.fonedynamics.provider import FoneDynamics
from poller.providers.fonedynamics.slices import AHEAD, Learned
from poller.providers.heymarket.provider import Heymarket
from poller.providers.registry import BUILT_IN, provider_of
from poller.times import epoch, format_rfc3339, parse_rfc3339
from tests.support.vendor_rows import members_of, raw_of

CASES = sorted((Path(__file__).parent / "cases").glob("*/*.json"))
NOW = 1_790_000_000


def stream_of(provider: str, name: str = "s1") -> Stream:
    """A stream of the provider."""
    return exam.stream_of(provider_of(provider), name)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path) -> None:
    """The provider asks and reads as the case file says, exchange by exchange."""
    exam.case(path, path.parent.name)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_provider_passes_the_exam_of_packages(name: str) -> None:
    """What is asked of others is asked of ourselves."""
    exam.examine(name, CASES[0].parents[1] / name)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_ambiguity_has_a_case_and_every_case_its_row(name: str) -> None:
    """The letters of the table in a vendor's README are those of its case files."""
    readme = (Path(exam.__file__).parent / name / "README.md").read_text(encoding="utf-8")
    rows = {line[2] for line in readme.splitlines() if line.startswith("| ") and line[3:5] == " |" and line[2].isalpha()}
    assert rows
    assert rows == {path.stem[0] for path in CASES if path.parent.name == name}


def test_the_documented_token_is_made_byte_for_byte() -> None:
    """The test vector of the vendor's authentication page."""
    expected = (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ0ZXN0LXNlY3JldC1pZCIsImlhdCI6MTcwMDAwMDAwMH0."
        "mgNvFmoBBZjj3WdSsH2eyfPxIJzbTjxQYlFLRa4RLxc"
    )
    made = Heymarket().authenticate({"secret_id": "test-secret-id", "secret_key": "test-secret-key"}, None, 1_700_000_000 * SECOND)
    assert isinstance(made, Headers)
    assert made.headers == {"authorization": f"Bearer {expected}"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(set[str]().union(*map(members_of, BUILT_IN))))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(BUILT_IN)), st.dictionaries(NAMES, JSON))
def test_no_row_is_ever_fatal(provider: str, members: dict[str, Any]) -> None:
    """Any JSON under the known names is an observation, a bad row or a skipped one, never an exception."""
    made = provider_of(provider)
    raw = raw_of(provider, {name: json.dumps(value).encode() for name, value in members.items()})
    read = made.read_row(Row("1", 0, raw))
    assert isinstance(read, Observation | BadRow | Skipped)
    if isinstance(read, Observation):
        msgspec.json.encode(read.message)


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from([SECOND, SECOND // 1000, 1]),
    st.sampled_from([30, 100]),
    st.booleans(),
)
def test_a_heymarket_walk_finds_every_row(seed: int, inclusive: bool, unit: int, cap: int, shuffled: bool) -> None:
    """Whatever the cursor's edge, the printed precision, the cap and the order of ties: all rows of the window, or a flag."""
    rng = random.Random(seed)
    stored = sorted((NOW * SECOND - rng.randrange(600 * SECOND) for _ in range(rng.randrange(1, 300))), reverse=True)
    stored += [rng.choice(stored) // unit * unit] * rng.randrange(1, cap - 1)
    rows = sorted(enumerate(stored), key=lambda pair: -pair[1])
    provider, found, flagged = Heymarket(), set(), False
    request: Request | None = provider.first_page(stream_of("heymarket"), Window((NOW - 600) * SECOND, None, NOW * SECOND), {})
    for _ in range(2000):
        if request is None:
            break
        asked = msgspec.json.decode(request.body or b"{}")
        time = parse_rfc3339(asked.get("created_at"))
        bound = time.instant + inclusive if time else 1 << 62
        before = [(n, at) for n, at in rows if at < bound]
        if request.path.endswith("count"):
            page = provider.read_page(request, Response(200, {}, str(len(before)).encode()))
        else:
            shown_rows = before[: min(cap, asked["limit"])]
            if shuffled:
                rng.shuffle(shown_rows)
            body = [{"id": n + 1, "date": format_rfc3339(at // unit * unit)} for n, at in shown_rows]
            page = provider.read_page(request, Response(200, {}, json.dumps(body).encode()))
        found |= {int(row.id) for row in page.rows}
        flagged = flagged or bool(page.gaps)
        request = page.next
    assert request is None, "the walk never ends"
    assert flagged or found == set(range(1, len(stored) + 1))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([20, 100]), st.sampled_from(["asc", "desc", "random"]))
@example(36829318, 20, "random")  # two passes that add nothing, though each lacks the same row
def test_fone_dynamics_splitting_finds_every_row(seed: int, cap: int, order: str) -> None:
    """Under any order and any silent cap, also with an over-full second: all rows of the window, or a flag."""
    rng = random.Random(seed)
    stored = [NOW - rng.randrange(1, 600) for _ in range(rng.randrange(0, 200))] + [NOW - 7] * rng.randrange(0, cap + 30)
    provider, found, flagged = provider_of("fonedynamics"), set(), False
    window = Window((NOW - 600) * SECOND, (NOW + 360) * SECOND, NOW * SECOND)
    request: Request | None = provider.first_page(stream_of("fonedynamics"), window, {})
    for _ in range(3000):
        if request is None:
            break
        query = {name: int(value) for name, value in request.query}
        rows = [(n, at) for n, at in enumerate(stored) if query["Date_From"] <= at < query["Date_To"]]
        if order == "random":
            rng.shuffle(rows)
        rows.sort(key=lambda pair: 0 if order == "random" else pair[1] if order == "asc" else -pair[1])
        skip = query.get("Results_Skip", 0)
        body = {"Messages": [{"MessageSid": f"M{n}", "Created": at} for n, at in rows[skip : skip + min(cap, query["Results_Count"])]]}
        page = provider.read_page(request, Response(200, {}, json.dumps(body).encode()))
        found |= {row.id for row in page.rows}
        flagged = flagged or bool(page.gaps)
        request = page.next
    assert request is None, "the sweep never ends"
    assert flagged or found == {f"M{n}" for n in range(len(stored))}


@given(st.integers(0, 253_402_300_799 * SECOND))
def test_times_are_canonical(instant: int) -> None:
    """Text and instant agree in both directions, whatever the offset or trailing zeros."""
    text = format_rfc3339(instant)
    read = parse_rfc3339(text)
    assert read is not None
    assert (read.instant, read.text) == (instant, text)
    assert parse_rfc3339(text.replace("Z", "+00:00")) == read


def test_times_that_are_none() -> None:
    """Year 0, nonsense and impossible offsets are no times; year 9999 is one; zero and negative epochs are absent."""
    for bad in ("0000-01-01T00:00:00Z", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+05:00", 5, None, True):
        assert parse_rfc3339(bad) is None
    assert parse_rfc3339("9999-12-31T23:59:59Z") is not None
    assert [epoch(value) for value in (0, -5, True, "x", "1_506_321_592", float("inf"), 1e300)] == [None] * 7
    assert epoch(1_506_321_592_000) == epoch("1506321592") == epoch(1_506_321_592)


def test_what_forgetting_looks_at_is_when_a_message_began_and_never_when_it_changed() -> None:
    """The position is the latest of created, scheduled and received; an update years later moves nothing."""
    rows = {
        "stuut": {
            "id": "1",
            "created_at": format_rfc3339(NOW * SECOND),
            "modified_at": "2031-01-01T00:00:00Z",
            "delivered_at": "2031-01-01T00:00:00Z",
        },
        "heymarket": {"id": 1, "date": format_rfc3339(NOW * SECOND), "updated": "2031-01-01T00:00:00Z"},
        "fonedynamics": {"MessageSid": "1", "Created": NOW - 9, "Scheduled": NOW, "Delivered": NOW + 10**8},
    }
    for provider, row in rows.items():
        seen = provider_of(provider).read_row(Row("1", NOW * SECOND, json.dumps(row).encode()))
        assert isinstance(seen, Observation)
        assert seen.position == NOW * SECOND, provider


@pytest.mark.parametrize("overlap_s", [60, 600, 3600])
def test_a_busy_property_does_not_cut_what_is_scheduled(overlap_s: int) -> None:
    """Whatever a live window teaches, the fourteen days ahead of now stay one request; and an empty future does not lengthen live slices."""
    provider, stream, now = FoneDynamics(), stream_of("fonedynamics"), NOW * SECOND
    sent = [{"MessageSid": f"M{n}", "Created": NOW - n * overlap_s // 90} for n in range(90)]
    memo: Any = Learned(most=100)
    live = Window(now - overlap_s * SECOND, now + 360 * SECOND, now)
    for window in (live, Window(now, now + AHEAD, now), live):
        request: Request | None = provider.first_page(stream, window, memo)
        assert request is not None
        if window.until == now + AHEAD:
            assert (request.continuation.begin, request.continuation.end) == (NOW, NOW + AHEAD // SECOND)
        while request is not None:
            start, end = request.continuation.begin, request.continuation.end
            rows = [row for row in sent if start <= row["Created"] <= end]
            page = provider.read_page(request, Response(200, {}, json.dumps({"Messages": rows}).encode()))
            request, memo = page.next, page.learned or memo
    assert memo.near > 0
    assert memo.rate is None
