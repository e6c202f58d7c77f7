"""What a change of the number of shards keeps, whatever the numbers are."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from poller.commands.reshard import new_metas
from poller.publishing.state_records import Meta

CHANGES = [(4, 2, 4), (1, 7, 1), (3, 2, 1, 2, 3), (10, 1, 10), (5, 8, 2, 5), (2, 1, 3, 2), (16, 15, 16)]
"""Numbers of shards, one after another; the last is the first again."""


@pytest.mark.parametrize("numbers", CHANGES, ids=str)
@pytest.mark.parametrize("empty", [False, True], ids=["whole", "with a shard that never published"])
def test_transaction_numbers_and_keys_go_on_through_any_number_of_changes(numbers: tuple[int, ...], empty: bool) -> None:
    """No shard ever uses a number twice, every key is kept, clocks only rise, and each log has a nonce of its own."""
    first = numbers[0]
    old: list[Meta | None] = [Meta("g", first, "n", bytes([number]) * 32, clock=number, sequence=10 + number) for number in range(first)]
    if empty and first > 1:
        old[-1] = None
    keys = {meta.key for meta in old if meta is not None}
    used = {number: meta.sequence for number, meta in enumerate(old) if meta is not None}
    held, nonces = old, list[str]()
    for shards in numbers[1:]:
        before = max(meta.clock for meta in held if meta is not None)
        held = list(new_metas(held, shards))
        assert all(set(meta.keys) | {meta.key} == keys for meta in held if meta is not None)
        assert all(meta.clock > before for meta in held if meta is not None)
        assert [meta.sequence for meta in held if meta is not None] == [used.get(number, 0) for number in range(shards)]
        nonces += [meta.nonce for meta in held if meta is not None]
        held = [None if meta is None else replace(meta, sequence=meta.sequence + 3) for meta in held]  # each commits three transactions
        used |= {number: meta.sequence for number, meta in enumerate(held) if meta is not None}
    assert len(set(nonces)) == len(nonces)
