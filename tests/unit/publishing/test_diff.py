"""Laws of change detection: only what the provider changed is published, once, in order."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from poller.model import CONTENT_FIELDS, STATUS_FIELDS, STATUS_RANK, Observation, Problem, Stream
from poller.publishing import message_state
from poller.publishing.diff import MessageEvent, Updated
from poller.publishing.fingerprints import Fingerprints
from poller.publishing.message_state import MessageState, stream_tag
from tests.support.rows import NOW, OBSERVATIONS, PAGES, PRINTS, Compared, compared, observation, scope


def step(known: dict[bytes, MessageState], page: list[Observation], asked: int = 0, prints: Fingerprints = PRINTS) -> Compared:
    """Compare a page and apply the difference."""
    delta = compared(known, page, scope(asked), prints)
    known |= delta.states
    return delta


def types(delta: Compared) -> list[str]:
    """The kinds of the events."""
    return [event.kind for event in delta.events]


@given(PAGES)
def test_replay_is_empty(pages: list[list[Observation]]) -> None:
    """Comparing a page again after its difference was applied finds nothing."""
    known: dict[bytes, MessageState] = {}
    for asked, page in enumerate(pages):
        step(known, page, asked)
        again = compared(known, page, scope(asked))
        assert not again.events
        assert not again.states


@given(st.lists(OBSERVATIONS, max_size=8), st.integers(0, 2**16))
def test_order_and_repetition_within_a_page_do_not_matter(page: list[Observation], seed: int) -> None:
    """Any order and any repetition of a page's rows ends in the same state."""
    shuffled = page * 2
    random.Random(seed).shuffle(shuffled)
    one: dict[bytes, MessageState] = {}
    two: dict[bytes, MessageState] = {}
    step(one, page)
    step(two, shuffled)
    assert one == two


@given(PAGES, st.integers(0, 2**16))
def test_pages_processed_late_never_undo_newer_ones(pages: list[list[Observation]], seed: int) -> None:
    """Whatever order concurrent pages are processed in, the version of each message is the highest one that was read."""
    numbered = list(enumerate(pages))
    random.Random(seed).shuffle(numbered)
    known: dict[bytes, MessageState] = {}
    for asked, page in numbered:
        step(known, page, asked)
    for id_ in ("m1", "m2", "m3"):
        versions = [
            (o.stamp, STATUS_RANK[o.message.status], asked) for asked, page in numbered for o in page if o.message.message_id == id_
        ]
        key = message_state.digest(message_state.message_key("heymarket/main", id_))
        if versions:
            seen = known[key]
            assert (seen.stamp, STATUS_RANK[seen.status]) == max(versions)[:2]


@given(PAGES)
def test_revisions_have_no_gaps(pages: list[list[Observation]]) -> None:
    """Every message's events are numbered 1, 2, 3, ... in publishing order."""
    known: dict[bytes, MessageState] = {}
    events: list[MessageEvent] = []
    for asked, page in enumerate(pages):
        events += step(known, page, asked).events
    for id_ in ("m1", "m2", "m3"):
        mine = [event.revision for event in events if event.message.message_id == id_]
        assert mine == list(range(1, len(mine) + 1))


@given(PAGES)
def test_one_observation_gives_at_most_two_events_in_order(pages: list[list[Observation]]) -> None:
    """Created then its first status, or status-changed then updated; never more."""
    known: dict[bytes, MessageState] = {}
    for asked, page in enumerate(pages):
        for id_ in ("m1", "m2", "m3"):
            delta = compared(known, page, scope(asked))
            kinds = [e.kind for e in delta.events if e.message.message_id == id_]
            assert kinds in ([], ["created"], ["created", "status"], ["status"], ["updated"], ["status", "updated"])
        step(known, page, asked)


def test_an_inbound_message_has_no_first_status_event() -> None:
    """The status topic alone tells every sent message's status; received messages are not in it at creation."""
    assert types(step({}, [observation(direction="inbound", status="received")])) == ["created"]
    assert types(step({}, [observation(direction="outbound")])) == ["created", "status"]
    assert types(step({}, [observation(direction="unknown")])) == ["created", "status"]


def test_a_status_change_carries_its_status_fields_and_names_the_previous_status() -> None:
    """sent to delivered with a delivery time is one status-changed event and no update."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(status="sent")])
    delta = step(known, [observation(status="delivered", final=True, delivered_at="2026-01-01T00:00:00Z")], 1)
    assert types(delta) == ["status"]
    assert (delta.events[0].previous_status, delta.events[0].revision) == ("sent", 3)


def test_status_and_content_changing_together_give_both_events() -> None:
    """The status first; the update names only the content fields."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(status="sent")])
    delta = step(known, [observation(status="failed", text="x", segments=2, error=Problem(code="9"))], 1)
    assert types(delta) == ["status", "updated"]
    assert delta.events[1].changed == ("segments", "text")


def test_every_field_that_changes_alone_is_named_alone() -> None:
    """`changed` holds exactly the name of the one field that differs, for each compared field."""
    values: dict[str, object] = {
        "conversation_id": "c",
        "channel": "sms",
        "direction": "unknown",
        "from": "+1",
        "to": ["+2"],
        "text": "t",
        "media": [{"url": "u"}],
        "created_at": "2020-01-01T00:00:00Z",
        "scheduled_at": "2020-01-01T00:00:00Z",
        "segments": 3,
        "automated": True,
        "provider_data": {"a": 1},
        "provider_status": "Sent!",
        "final": True,
        "sent_at": "2020-01-01T00:00:00Z",
        "delivered_at": "2020-01-01T00:00:00Z",
        "received_at": "2020-01-01T00:00:00Z",
        "error": Problem(code="1"),
    }
    assert set(values) == set(CONTENT_FIELDS + STATUS_FIELDS) - {"status"}
    for name, value in values.items():
        known: dict[bytes, MessageState] = {}
        first = observation()
        step(known, [first])
        other = replace(first.message, **{"from_" if name == "from" else name: value})
        delta = step(known, [replace(first, message=other)], 1)
        assert [(e.kind, e.changed) for e in delta.events if isinstance(e, Updated)] == [("updated", (name,))]


def test_updated_at_alone_is_no_change_but_its_stamp_is_remembered() -> None:
    """A newer stamp without any difference publishes nothing, and an older copy that differs is stale from then on."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(stamp=10)])
    assert not step(known, [observation(stamp=20, updated_at="2026-01-01T00:00:00Z")], 1).events
    assert not step(known, [observation(stamp=15, text="stale")], 2).events


def test_a_stale_replica_never_undoes_a_newer_status() -> None:
    """A lower rank needs a newer stamp; with one it is a change."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(status="delivered", stamp=5)])
    assert not step(known, [observation(status="sent", stamp=5)], 1).events
    assert types(step(known, [observation(status="failed", stamp=6)], 2)) == ["status"]


def test_a_change_without_any_stamp_is_seen_by_its_content() -> None:
    """A classification added while the stamp stands still is an update."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(stamp=5)])
    delta = step(known, [observation(stamp=5, provider_data={"classifications": [{"id": "c1"}]})], 1)
    assert [event.changed for event in delta.events if isinstance(event, Updated)] == [("provider_data",)]


def test_other_fingerprint_rules_adopt_without_an_event() -> None:
    """State written under another key or other rules is taken over silently; what the provider changes later is published."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation()], prints=Fingerprints(b"old" * 8))
    older = {key: replace(seen, rules=0) for key, seen in known.items()}
    for state in (known, older):
        delta = step(state, [observation(text="same text as far as the provider goes")], 1)
        assert not delta.events
        assert delta.states
        assert types(step(state, [observation(text="changed")], 2)) == ["updated"]


def test_a_status_that_changes_across_an_upgrade_is_published() -> None:
    """Adopting silently never swallows a status that the provider changed meanwhile."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(status="sent")], prints=Fingerprints(b"old" * 8))
    assert types(step(known, [observation(status="delivered")], 1)) == ["status"]


def test_rows_below_the_floor_are_dropped_unless_known() -> None:
    """Nothing forgotten is published again; a known message is still compared."""
    known: dict[bytes, MessageState] = {}
    old = observation(position=NOW - 10)
    dropped = compared(known, [old], scope(floor=NOW))
    assert (dropped.events, dropped.states, dropped.below_floor) == ([], {}, 1)
    step(known, [old])
    changed = replace(old, message=replace(old.message, text="later"))
    assert types(compared(known, [changed], scope(1, floor=NOW))) == ["updated"]


def test_a_later_status_with_an_older_stamp_is_counted_and_changes_nothing() -> None:
    """The provider's stamps decide (its replicas may be stale); where they contradict the life of a message, it is noticed."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(status="sent", stamp=NOW + 10)])
    delta = step(known, [observation(status="delivered", stamp=NOW + 9)], 1)
    assert (delta.events, delta.behind) == ([], 1)
    assert step(known, [observation(status="queued", stamp=NOW)], 2).behind == 0


def test_a_message_belongs_to_the_stream_that_it_was_seen_in_last() -> None:
    """Else it would be forgotten with a stream that is polled no longer, and be created again by the one that lists it."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation()])
    moved = compared(known, [observation()], replace(scope(1), stream=Stream("heymarket", "main", "vip")))
    assert not moved.events
    assert [state.stream for state in moved.states.values()] == [stream_tag("heymarket/main/vip")]
    known.update(moved.states)
    assert not compared(known, [observation()], replace(scope(2), stream=Stream("heymarket", "main", "vip"))).states


def test_the_position_never_goes_back() -> None:
    """Forgetting looks at the latest creation-like stamp ever shown."""
    known: dict[bytes, MessageState] = {}
    step(known, [observation(position=NOW + 10**9)])
    step(known, [observation(position=NOW, text="x")], 1)
    assert {seen.position for seen in known.values()} == {(NOW + 10**9) // 10**6}


def test_fingerprints_hold_no_text_and_depend_on_their_key() -> None:
    """Equal texts have other fingerprints under another key, so a dictionary finds nothing."""
    message = observation(text="secret words").message
    assert Fingerprints(b"a" * 32)(message) != Fingerprints(b"b" * 32)(message)
    assert b"secret" not in Fingerprints(b"a" * 32)(message)[1]
