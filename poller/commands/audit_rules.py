"""The judge of what was published: duplicates, revision gaps, disorder, torn transactions. Pure; fed record by record.

It costs about 250 bytes a message and a bit a transaction: revisions and transaction numbers
are kept as bits. What began before the first record that was read (``edge``), or
had not ended at the last one, is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..model import SECOND, Instant

EDGE: Instant = 60 * SECOND
"""Longer than any transaction may last: how near to the edge a transaction may be cut."""

EXAMPLES_MAX = 5
BLOCK = 4096
REVISION_MAX = 1_000_000


class Finding(Struct, frozen=True):
    """One kind of fault: how often, and the first few places (keys or transactions, never contents)."""

    kind: str
    count: int
    examples: tuple[str, ...]


class _Numbers:
    """A set of numbers, a bit each."""

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}

    def add(self, number: int) -> None:
        block, bit = divmod(number, BLOCK)
        self._blocks[block] = self._blocks.get(block, 0) | 1 << bit

    def missing(self, low: int, high: int) -> list[int]:
        """Those of ``[low, high]`` that are not in it."""
        found: list[int] = []
        for block in range(low // BLOCK, high // BLOCK + 1):
            bits = self._blocks.get(block, 0)
            if bits != (1 << BLOCK) - 1:
                first = block * BLOCK
                found += [n for n in range(max(low, first), min(high, first + BLOCK - 1) + 1) if not bits >> (n - first) & 1]
        return found


class _Open(Struct):
    """A transaction of which not all records were seen."""

    left: int
    newest: Instant


class _Shard:
    """The transactions of one shard."""

    def __init__(self) -> None:
        self.seen, self.open = _Numbers(), dict[int, _Open]()
        self.first: int | None = None
        self.last_whole = -1


class Audit:
    """Feed it every record of the public topics, topic by topic, each partition in its order.

    ``edge`` is the time before which records may be missing because they were not read or are
    no longer kept; None when every topic was read from its very beginning.
    """

    def __init__(self, edge: Instant | None = None) -> None:
        self._edge = edge
        self._revisions: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._topic = ""
        self._shards: dict[int, _Shard] = {}
        self._faults: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self.records = 0

    @property
    def messages(self) -> int:
        """Different message keys seen."""
        return len(self._revisions)

    def feed(self, topic: str, key: str, headers: Mapping[str, str], revision: int | None, time: Instant) -> None:
        """One record; ``revision`` is None for a dead letter."""
        self.records += 1
        try:
            shard, number, size = (int(headers[f"ce_poller{name}"]) for name in ("shard", "txn", "txnsize"))
        except (KeyError, ValueError):
            self._fault("not from poller", f"{topic}: {headers.get('ce_id', key)}")
            return
        self._transaction(shard, number, size, time)
        if revision is not None:
            self._revision(topic, key, revision)

    def _revision(self, topic: str, key: str, revision: int) -> None:
        if topic != self._topic:
            self._topic, self._newest = topic, {}
        seen = self._revisions.get(key, 0)
        if not 0 < revision <= REVISION_MAX:
            return self._fault("gap", f"{key}:{revision}")
        if seen >> revision & 1:
            return self._fault("duplicate", f"{key}:{revision}")
        if revision < self._newest.get(key, 0):
            self._fault("disorder", f"{key}:{revision}")
        self._newest[key] = max(revision, self._newest.get(key, 0))
        self._revisions[key] = seen | 1 << revision
        return None

    def _transaction(self, number: int, transaction: int, size: int, time: Instant) -> None:
        shard = self._shards.setdefault(number, _Shard())
        if self._edge is None or time > self._edge + EDGE:
            shard.first = transaction if shard.first is None else min(shard.first, transaction)
        shard.seen.add(transaction)
        held = shard.open.setdefault(transaction, _Open(size, time))
        held.left, held.newest = held.left - 1, max(held.newest, time)
        if not held.left:
            del shard.open[transaction]
            shard.last_whole = max(shard.last_whole, transaction)

    def findings(self) -> list[Finding]:
        """What is wrong, once everything was fed."""
        for key, revisions in self._revisions.items():
            low = 0 if self._edge is None else (revisions & -revisions).bit_length() - 2
            if (revisions >> low + 1) + 1 & (revisions >> low + 1):
                self._fault("gap", f"{key}: revisions {_listed(revisions)}")
        for number, shard in sorted(self._shards.items()):
            for transaction, held in sorted(shard.open.items()):
                at_edge = self._edge is not None and held.newest <= self._edge + EDGE
                if transaction < shard.last_whole and not at_edge:
                    self._fault("torn", f"shard {number} transaction {transaction}: {held.left} records missing")
            for missing in () if shard.first is None else shard.seen.missing(max(1, shard.first), shard.last_whole):
                self._fault("lost", f"shard {number} transaction {missing}")
            if shard.first is not None and self._edge is None and shard.first > 1:
                self._fault("lost", f"shard {number} transactions 1 to {shard.first - 1}")
        return [Finding(kind, self._counts[kind], tuple(examples)) for kind, examples in self._faults.items()]

    def _fault(self, kind: str, where: str) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        examples = self._faults.setdefault(kind, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(where)


def _listed(bits: int) -> str:
    return ", ".join(str(number) for number in range(bits.bit_length()) if bits >> number & 1)
