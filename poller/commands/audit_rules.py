"""The judge of what was published: duplicates, revision gaps, disorder, torn and lost transactions. Pure; fed record by record.

Judged are the transactions up to the newest one that each shard's state knew before the topics'
ends were taken: each of their records is there, or it is lost. So a worker that publishes
meanwhile raises no alarm, and the newest transaction of a shard is judged too. What began
before the first record that was read (``edge``) is not judged, nor what may still be
committed behind another program's open transaction (:meth:`Audit.undecided`).

It costs about 250 bytes a message and a bit a transaction: revisions and transaction numbers
are kept as bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from ..model import DAY, SECOND, Instant
from .latest_rules import Latest

EDGE: Instant = 60 * SECOND
"""Longer than any transaction may last: how near to the edge a transaction may be cut."""

DEAD_AGAIN: Instant = 29 * DAY
"""A dead letter that was not listed for 30 days is forgotten, and published again when it is listed again; a day for clocks that differ."""

EXAMPLES_MAX = 5
"""Examples that are shown of each kind of fault."""

BLOCK = 4096
"""Numbers (of transactions, of revisions) that one bitmap holds: 512 bytes for each block that was met."""

REVISION_MAX = 1 << 31
"""Higher numbers are nonsense: no message has as many events."""


class Finding(Struct, frozen=True):
    """One kind of fault: how often, and the first few places (keys or transactions, never contents)."""

    kind: str
    count: int
    examples: tuple[str, ...]


class _Numbers:
    """A set of numbers, a bit each; sparse beyond blocks of 4096."""

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}
        self.highest = 0

    def add(self, number: int) -> None:
        block, bit = divmod(number, BLOCK)
        self._blocks[block] = self._blocks.get(block, 0) | 1 << bit
        self.highest = max(self.highest, number)

    def __contains__(self, number: int) -> bool:
        block, bit = divmod(number, BLOCK)
        return bool(self._blocks.get(block, 0) >> bit & 1)

    def missing(self, low: int, high: int) -> list[int]:
        """Those of ``[low, high]`` that are not in it."""
        found: list[int] = []
        for block in range(low // BLOCK, high // BLOCK + 1):
            bits = self._blocks.get(block, 0)
            if bits != (1 << BLOCK) - 1:
                first = block * BLOCK
                found += [n for n in range(max(low, first), min(high, first + BLOCK - 1) + 1) if not bits >> (n - first) & 1]
        return found


class _Revisions:
    """The revisions of a message: a bit each while they are small; those that a rebuild let begin far above are few."""

    __slots__ = ("_bits", "_far")

    def __init__(self) -> None:
        self._bits = 0
        self._far: set[int] = set()

    def add(self, number: int) -> None:
        if number < BLOCK:
            self._bits |= 1 << number
        else:
            self._far = {*self._far, number}

    def __contains__(self, number: int) -> bool:
        return bool(self._bits >> number & 1) if number < BLOCK else number in self._far

    def above(self, low: int) -> list[int]:
        """In order, those above ``low``."""
        return [n for n in range(low + 1, self._bits.bit_length()) if self._bits >> n & 1] + sorted(n for n in self._far if n > low)

    def whole(self) -> bool:
        """From 1 to the highest without a gap; the quick answer for almost every message."""
        return not self._far and not (self._bits >> 1) + 1 & self._bits >> 1


class _Open(Struct):
    """A transaction of which not all records were seen."""

    left: int
    newest: Instant


class _Shard:
    """The transactions of one shard."""

    def __init__(self) -> None:
        self.seen, self.open, self.undecided = _Numbers(), dict[int, _Open](), set[int]()
        self.first: int | None = None
        """The first transaction that lies wholly in what was read."""
        self.last_whole = 0


class Audit:
    """Feed it every record of the public topics, topic by topic, each partition in its order.

    ``edge`` is the time before which records may be missing because they were not read or are
    no longer kept; None when every topic was read from its very beginning. ``known`` is the
    newest transaction of each shard as its state had it before the ends were taken; without
    it, the newest whole transaction that is seen. ``rebuilt`` is when the state was last made
    again from the topics: dead letters that were published before may be published once more.
    Latest messages are fed before all events; those of events before ``latest_kept`` may be removed.
    """

    def __init__(
        self,
        edge: Instant | None = None,
        known: Mapping[int, int] = MappingProxyType({}),
        *,
        rebuilt: Instant = 0,
        latest_kept: Instant | None = None,
    ) -> None:
        self._edge, self._known, self._rebuilt = edge, known, rebuilt
        self._latest = Latest()
        self._latest_since = max((bound + EDGE for bound in (edge, latest_kept) if bound is not None), default=-1)
        self._revisions: dict[str, _Revisions] = {}
        self._at_edge: dict[str, int] = {}
        """The highest revision of a message that lies at the edge: what follows it may have been cut off."""
        self._newest: dict[str, int] = {}
        self._dead: dict[str, Instant] = {}
        self._topic = ""
        self._shards: dict[int, _Shard] = {}
        self._faults: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self.records = 0

    @property
    def messages(self) -> int:
        """Different message keys seen."""
        return len(self._revisions)

    @property
    def highest(self) -> dict[int, int]:
        """The highest transaction number seen of each shard."""
        return {number: shard.seen.highest for number, shard in self._shards.items()}

    def feed(self, topic: str, key: str, headers: Mapping[str, str], revision: int | None, time: Instant) -> None:
        """One committed record; ``revision`` is None for a dead letter."""
        self.records += 1
        place = _transaction_of(headers)
        if place is None:
            self._fault("not from poller", f"{topic}: {headers.get('ce_id', key)}")
            return
        shard, number, size = place
        if self._transaction(shard, number, size, time) and self._judged(shard, number):
            if revision is None:
                self._dead_letter(headers.get("ce_id", f"{shard}/{number}/{self.records}"), time)
                return
            self._revision(topic, key, revision, time)
            if time > self._latest_since and self._latest.behind(key, shard, number, revision):
                self._fault("latest behind", f"{key}:{revision}")

    def latest(self, key: str, headers: Mapping[str, str], revision: int) -> None:
        """One committed record of the topic of latest messages."""
        self.records += 1
        place = _transaction_of(headers)
        if place is None:
            self._fault("not from poller", f"latest: {key}")
        elif not self._latest.rises(key, place[0], place[1], revision):
            self._fault("latest went back", f"{key}:{revision}")

    def undecided(self, key: str, headers: Mapping[str, str], revision: int | None) -> None:
        """A record behind an open transaction, which may be committed or not: what it belongs to is not judged."""
        place = _transaction_of(headers)
        if place is None:
            return
        self._shards.setdefault(place[0], _Shard()).undecided.add(place[1])
        if revision is not None and 0 < revision < REVISION_MAX:
            self._revisions.setdefault(key, _Revisions()).add(revision)

    def findings(self, newest: Mapping[int, int] = MappingProxyType({})) -> list[Finding]:
        """What is wrong, once everything was fed. ``newest`` is as ``known``, read after the topics."""
        for key, revisions in self._revisions.items():
            if not revisions.whole():
                self._gaps(key, revisions)
        for number in sorted({*self._shards, *self._known}):
            shard = self._shards.get(number) or _Shard()
            self._torn(number, shard)
            self._lost(number, shard)
            if number in newest and shard.seen.highest > newest[number]:
                self._fault("unknown to the state", f"shard {number} transactions {newest[number] + 1} to {shard.seen.highest}")
        return [Finding(kind, self._counts[kind], tuple(examples)) for kind, examples in self._faults.items()]

    def _judged(self, shard: int, transaction: int) -> bool:
        return shard not in self._known or transaction <= self._known[shard]

    def _revision(self, topic: str, key: str, revision: int, time: Instant) -> None:
        if topic != self._topic:
            self._topic, self._newest = topic, {}
        if not 0 < revision < REVISION_MAX:
            return self._fault("gap", f"{key}:{revision}")
        seen = self._revisions.setdefault(key, _Revisions())
        if revision in seen:
            return self._fault("duplicate", f"{key}:{revision}")
        if revision < self._newest.get(key, 0):
            self._fault("disorder", f"{key}:{revision}")
        self._newest[key] = max(revision, self._newest.get(key, 0))
        seen.add(revision)
        if self._edge is not None and time <= self._edge + EDGE:
            self._at_edge[key] = max(revision, self._at_edge.get(key, 0))
        return None

    def _dead_letter(self, id_: str, time: Instant) -> None:
        before = self._dead.get(id_)
        self._dead[id_] = time if before is None else max(before, time)
        if before is not None and abs(time - before) < DEAD_AGAIN and not min(before, time) < self._rebuilt <= max(before, time):
            self._fault("duplicate", id_)

    def _transaction(self, number: int, transaction: int, size: int, time: Instant) -> bool:
        """Count a record to its transaction. False for a number that no transaction has."""
        if transaction < 1 or size < 1:
            self._fault("not from poller", f"shard {number} transaction {transaction}")
            return False
        shard = self._shards.setdefault(number, _Shard())
        if self._edge is None or time > self._edge + EDGE:
            shard.first = transaction if shard.first is None else min(shard.first, transaction)
        if transaction in shard.seen and transaction not in shard.open:
            return True  # it is whole already: a record that came twice is found by its revision or its id
        shard.seen.add(transaction)
        held = shard.open.setdefault(transaction, _Open(size, time))
        held.left, held.newest = held.left - 1, max(held.newest, time)
        if not held.left:
            del shard.open[transaction]
            shard.last_whole = max(shard.last_whole, transaction)
        return True

    def _gaps(self, key: str, revisions: _Revisions) -> None:
        """Revisions that are missing and cannot lie before the edge."""
        seen = revisions.above(self._at_edge.get(key, 0))
        low = 0 if self._edge is None else seen[0] - 1 if seen else 0
        if seen and seen[-1] - low != len(seen):
            self._fault("gap", f"{key}: revisions {', '.join(map(str, revisions.above(0)))}")

    def _torn(self, number: int, shard: _Shard) -> None:
        last = self._known.get(number, shard.last_whole - 1)
        for transaction, held in sorted(shard.open.items()):
            at_edge = self._edge is not None and held.newest <= self._edge + EDGE
            if transaction <= last and not at_edge and transaction not in shard.undecided:
                self._fault("torn", f"shard {number} transaction {transaction}: {held.left} records missing")

    def _lost(self, number: int, shard: _Shard) -> None:
        first = 1 if self._edge is None else shard.first
        if first is None:
            return
        missing = [n for n in shard.seen.missing(first, self._known.get(number, shard.last_whole)) if n not in shard.undecided]
        for low, high in _runs(missing):
            what = f"transaction {low}" if low == high else f"transactions {low} to {high}"
            self._fault("lost", f"shard {number} {what}", count=high - low + 1)

    def _fault(self, kind: str, where: str, *, count: int = 1) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + count
        examples = self._faults.setdefault(kind, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(where)


def _transaction_of(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """``(shard, number, size)`` of a record's transaction; None for what poller did not write."""
    try:
        shard, number, size = (int(headers[f"ce_poller{name}"]) for name in ("shard", "txn", "txnsize"))
    except (KeyError, ValueError):
        return None
    return shard, number, size


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Rising numbers as ranges, both ends included."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
