"""Heymarket conversations against a small server that lists what the vendor's page leaves open: every row is found, or the second is flagged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poller.errors import ConfigError
from poller.model import SECOND, BadRow, Row
from poller.providers import exam
from poller.providers.contract import Headers, Page, Request, Response, SecretOption, Window
from poller.providers.heymarket.asking import Learned
from poller.providers.heymarket.options import ConversationOptions, HeymarketOptions
from poller.providers.heymarket.provider import Heymarket
from poller.times import format_rfc3339

NOW = 1_790_000_000
REQUESTS_MAX = 60
SPAN = 7_200
"""Seconds of the conversation's history."""

ASKED = Heymarket(
    HeymarketOptions(conversations={"vip": ConversationOptions(SecretOption(), 12), "press": ConversationOptions(SecretOption(), 15)})
)
KEYS = {"api_key": "invented"}
PHONES = {"conversations.vip.phone": "+1 (415) 555-0123", "conversations.press.phone": "tel:+1-415-555-0199"}


class Conversation:
    """The server's side: up to ``cap`` rows before a timestamp that is read in ``unit``; now and then nothing, where ``tired``."""

    def __init__(self, rng: random.Random, rows: list[int], *, cap: int, unit: int, inclusive: bool, printed: int, order: str) -> None:
        self.rng, self.rows, self.cap, self.unit, self.inclusive, self.printed = (
            rng,
            sorted(enumerate(rows), key=lambda row: -row[1]),
            cap,
            unit,
            inclusive,
            printed,
        )
        self.order, self.tired, self.requests = order, False, 0

    def answer(self, request: Request) -> Response:
        """One page."""
        self.requests += 1
        assert self.requests < REQUESTS_MAX, "the walk never ends"
        query = dict(request.query)
        assert (query["phoneNumber"], query["inboxID"]) == ("{conversations.vip.phone}", "12")
        until = int(query["timestamp"]) * self.unit + self.inclusive if "timestamp" in query else 1 << 62
        found = [row for row in self.rows if row[1] < until][: self.cap]
        if self.order == "ascending":
            found.reverse()
        elif self.order == "shuffled":
            self.rng.shuffle(found)
        if self.tired and self.requests % 3 == 2:
            found = []
        body = [{"id": n + 1, "date": format_rfc3339(at // self.printed * self.printed)} for n, at in found]
        return Response(200, {}, json.dumps(body).encode())


def walked(server: Conversation, window: Window, learned: Learned | None = None) -> tuple[set[int], bool, Learned | None]:
    """A sweep to its end: the ids, whether something was flagged, and what was learned."""
    request: Request | None = ASKED.first_page(exam.stream_of(ASKED, "vip"), window, learned)
    found, flagged = set[int](), False
    while request is not None:
        exam.survives(ASKED, request)
        page: Page = ASKED.read_page(request, server.answer(request))
        found |= {int(row.id) for row in page.rows if isinstance(row, Row)}
        flagged, learned, request = flagged or bool(page.gaps), page.learned or learned, page.next
    return found, flagged, learned


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from([SECOND, SECOND // 1000]),
    st.sampled_from([SECOND, SECOND // 1000, 1]),
    st.sampled_from([30, 50]),
    st.sampled_from(["descending", "ascending", "shuffled"]),
    st.sampled_from([None, 600, 3000]),
)
def test_a_walk_over_a_conversation_finds_every_row(
    seed: int, inclusive: bool, unit: int, printed: int, cap: int, order: str, ago: int | None
) -> None:
    """Whatever the unit and the edge of its timestamps, the printed precision, the cap and the order: all rows of the window, or a flag.

    The second walk, which knows what the first has learned, finds the same.
    """
    rng = random.Random(seed)
    stored = [NOW * SECOND - rng.randrange(SPAN * SECOND) for _ in range(rng.choice((0, 1, 3, 40, 200)))]
    stored += (
        [rng.choice(stored) // SECOND * SECOND + rng.randrange(SECOND) for _ in range(rng.choice((0, 5, cap - 4, cap + 20)))]
        if stored
        else []
    )
    server = Conversation(rng, stored, cap=cap, unit=unit, inclusive=inclusive, printed=printed, order=order)
    until = None if ago is None else (NOW - ago) * SECOND
    window, learned = Window((NOW - 5000) * SECOND, until, NOW * SECOND), None
    due = {n + 1 for n, at in enumerate(stored) if window.since <= at // printed * printed and (until is None or at < until)}
    for _ in range(2):
        server.requests = 0
        found, flagged, learned = walked(server, window, learned)
        assert flagged or due <= found
    assert learned is None or learned.unit in (None, unit)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([SECOND, SECOND // 1000]), st.booleans())
def test_an_empty_page_in_trouble_ends_no_long_walk(seed: int, unit: int, known: bool) -> None:
    """A provider that answers every third request with an empty list: with more than an hour left, nothing is taken for read.

    Whether the unit of its timestamps is known or not.
    """
    rng = random.Random(seed)
    stored = [NOW * SECOND - rng.randrange(100 * SPAN * SECOND) for _ in range(150)]
    server = Conversation(rng, stored, cap=50, unit=unit, inclusive=False, printed=1, order="descending")
    server.tired = True
    since = min(stored) - 2 * 3600 * SECOND
    found, _, _ = walked(server, Window(since, None, NOW * SECOND), Learned(unit=unit if known else None))
    assert found == set(range(1, len(stored) + 1))


def test_small_conversations_cost_few_requests() -> None:
    """A quiet one a request a sweep; one with three new messages three, once the unit of timestamps is known."""
    for ages, requests in (([4000, 5000], 1), ([10, 20, 30], 3), ([10, 4000], 2)):
        stored = [(NOW - age) * SECOND for age in ages]
        server = Conversation(random.Random(1), stored, cap=50, unit=SECOND, inclusive=False, printed=1, order="descending")
        found, _, _ = walked(server, Window((NOW - 600) * SECOND, None, NOW * SECOND), Learned(unit=SECOND))
        assert found >= {n + 1 for n, age in enumerate(ages) if age <= 600}
        assert server.requests == requests, ages


def test_a_request_holds_a_name_and_the_account_fills_in_the_number() -> None:
    """As the vendor wants it, without the plus, whatever its formatting in the file; for both kinds of credentials."""
    for keys in (KEYS, {"secret_id": "id", "secret_key": "key-that-is-long-enough-for-hs256"}):
        made = ASKED.authenticate(keys | PHONES, None, NOW * SECOND)
        assert isinstance(made, Headers)
        assert made.fill == {"conversations.vip.phone": "14155550123", "conversations.press.phone": "14155550199"}
    asks: list[Callable[[], Request]] = [
        lambda: ASKED.probe(exam.stream_of(ASKED, "vip"), NOW),
        lambda: ASKED.first_page(exam.stream_of(ASKED, "vip"), Window(0, None, NOW), None),
    ]
    assert all(b"4155" not in msgspec.json.encode(ask()) for ask in asks)


def test_what_is_no_number_is_told_by_its_name() -> None:
    """All of them in one sentence, none quoted."""
    with pytest.raises(ConfigError) as raised:
        ASKED.authenticate(KEYS | dict.fromkeys(PHONES, "extension 12"), None, NOW * SECOND)
    assert "conversations.press.phone and conversations.vip.phone" in str(raised.value)
    assert "extension" not in str(raised.value)


def test_nothing_of_the_team_is_asked_beside_conversations() -> None:
    """Hints and counts are of whole teams."""
    assert ASKED.side_queries == ()
    assert Heymarket(HeymarketOptions(inboxes=(12,))).side_queries


@pytest.mark.parametrize("inbox", [12, "12"])
def test_only_asked_inboxes_are_on_a_page_and_their_counts_hold_for_all(inbox: object) -> None:
    """Rows of other inboxes are counted as left out, whatever else of them cannot be read; the recount still compares all rows."""
    provider = Heymarket(HeymarketOptions(inboxes=(12,)))
    good = [
        {"id": n, "date": format_rfc3339(NOW * SECOND), "conversation": {"inbox": where}} for n, where in ((1, inbox), (2, 99), (3, "99"))
    ]
    body = json.dumps([*good, {"id": 4, "conversation": {"inbox": 99}}, {"id": 5}, {"conversation": 12}, 7]).encode()
    first = provider.first_page(exam.stream_of(provider), Window((NOW - 60) * SECOND, None, NOW * SECOND), None)
    changes = provider.side_queries[0]
    for page in (provider.read_page(first, Response(200, {}, body)), changes.read(first, Response(200, {}, body))):
        assert [row.id for row in page.rows if isinstance(row, Row)] == ["1"]
        assert [row.id for row in page.rows if isinstance(row, BadRow)] == ["5", None, None]
        assert (page.left_out, page.count) == (3, 7)
        assert "inbox_unknown" in page.oddities
