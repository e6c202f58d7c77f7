"""Skipping known rows changes nothing but the cost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from poller.known import GENERATION_MAX, Known
from poller.model import Row


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2", b"3"]), st.booleans()), max_size=40))
def test_only_the_copy_adopted_last_is_known(history: list[tuple[str, bytes, bool]]) -> None:
    """Any other copy of the message, older or newer, is read in full; after a doubt every copy is."""
    known, truth = Known(), dict[str, bytes]()
    for id_, raw, certain in history:
        row = Row(id_, 0, raw)
        assert known.has(row) == (truth.get(id_) == raw)
        if certain:
            known.learn(row)
            truth[id_] = raw
        else:
            known.forget(id_)
            truth.pop(id_, None)


def test_memory_is_bounded() -> None:
    """However many messages there are, two generations are kept, the newest among them."""
    known = Known()
    for number in range(3 * GENERATION_MAX):
        known.learn(Row(str(number), 0, b"x"))
    assert len(known._young) + len(known._old) <= 2 * GENERATION_MAX
    assert known.has(Row(str(3 * GENERATION_MAX - 1), 0, b"x"))
    assert not known.has(Row("0", 0, b"x"))
