"""``python -m tests.lab.bench.stages``: CPU microseconds a row of each stage of a page, in one process, without HTTP and without a broker.

The best of several passes, so that a busy machine spoils little. The rows are those of the bench's provider, all of them
new; each stage is fed with what the stage before it gave.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from poller.model import SECOND, Observation, Row, Stream
from poller.providers.contract import Response, Window
from poller.providers.heymarket.provider import Heymarket
from poller.publishing.cache import CacheDirectory, Position
from poller.publishing.diff import PageContext, diff, newest_copies
from poller.publishing.events import Publisher, in_transaction
from poller.publishing.fingerprints import Fingerprints
from poller.publishing.privacy import Privacy
from poller.publishing.shard_state import ShardState
from poller.publishing.state_records import Meta
from tests.lab.bench.provider import row

PAGES, ROWS = 100, 100
PASSES = 5
NOW = 1_790_000_000 * SECOND
STREAM = Stream("heymarket", "main", "team")
CONTEXT = PageContext(stream=STREAM, floor=0, requested_at=1, observed=NOW)


def bodies(tag: int) -> list[bytes]:
    """Pages of rows that no other tag has."""
    begin = datetime(2026, 9, 21, tzinfo=UTC)
    numbers = range(tag * PAGES * ROWS, (tag + 1) * PAGES * ROWS)
    rows = [row(number, begin + timedelta(milliseconds=10 * number)) for number in numbers]
    return [b"[" + b",".join(rows[at : at + ROWS]) + b"]" for at in range(0, len(rows), ROWS)]


class Stages:
    """The best time of each stage, in the order in which they were first met."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block of one pass over all rows."""
        gc.collect()
        gc.freeze()
        began = time.process_time()
        yield
        taken = (time.process_time() - began) / (PAGES * ROWS) * 1e6
        self.best[name] = min(taken, self.best.get(name, taken))


def reading(stage: Stages, tag: int) -> list[list[Observation]]:
    """Bytes to observations."""
    provider, pages = Heymarket(), bodies(tag)
    request = provider.first_page(STREAM, Window(NOW - 3600 * SECOND, None, NOW), None)
    with stage("page: split, ids, dates"):
        answers = [provider.read_page(request, Response(200, {}, body)) for body in pages]
    with stage("page listed again with other rows"):
        for body in pages:
            provider.read_page(request, Response(200, {}, body[:-1] + b" ]"))
    rows = [[each for each in answer.rows if isinstance(each, Row)] for answer in answers]
    with stage("row: normalized"):
        return [[seen for each in page if isinstance(seen := provider.read_row(each), Observation)] for page in rows]


def comparing(stage: Stages, pages: list[list[Observation]], folder: Path) -> None:
    """Observations to records, and to the cache."""
    prints = Fingerprints(b"k" * 32)
    publisher, with_latest = (Publisher(partitions=16, privacy=Privacy(), latest=latest) for latest in (False, True))
    with stage("fingerprints"):
        for page in pages:
            for seen in page:
                prints(seen.message)
    with stage("compare: digests, prints, diff"):
        found = [diff({}, newest_copies(page, STREAM.account_key, prints)[0], CONTEXT, prints) for page in pages]
    with stage("events"):
        events = [event for each in found for change in each.changes for event in publisher.records(change).events]
    with stage("events and latest messages"):
        both = [with_latest.records(change) for each in found for change in each.changes]
    latest = [each.latest for each in both if each.latest is not None]
    with stage("records of a transaction"):
        records = in_transaction(events, shard=3, sequence=7)
    builders = [DefaultRecordBatchBuilder(2, 0, 1, 1, 1, 0, 1 << 30) for _ in range(16)]
    with stage("records appended"):
        for number, record in enumerate(records):
            builders[number % 16].append(number, NOW, record.key, record.value, list(record.headers))
    builders = [DefaultRecordBatchBuilder(2, 0, 1, 1, 1, 0, 1 << 30) for _ in range(16)]
    with stage("latest messages appended"):
        for number, record in enumerate(in_transaction([], latest, shard=3, sequence=7)):
            builders[number % 16].append(number, NOW, record.key, record.value, list(record.headers))
    with CacheDirectory(folder) as directory:
        cache = directory.shard(1)
        state = ShardState(cache, Meta("g", 16, "n", b"k" * 32), publisher)
        with stage("whole comparison with the cache"):
            entries = [state.queue(state.compare(CONTEXT, page, [])) for page in pages]
        with stage("cache written"):
            for entry in entries:
                assert entry is not None
                cache.write(entry.rows.items(), Position(1, 1, "n", "c", NOW))
        with stage("applied"):
            for entry in entries:
                assert entry is not None
                state.applied(entry)


def times(stage: Stages) -> None:
    """Dates that were not seen before."""
    from poller.times import parse_rfc3339

    texts = [
        (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=10 * n)).isoformat(timespec="milliseconds") for n in range(PAGES * ROWS)
    ]
    texts = [text.replace("+00:00", "Z") for text in texts]
    with stage("a date"):
        for text in texts:
            parse_rfc3339(text)


def main() -> None:
    """Print the stages."""
    stage = Stages()
    passes: list[Callable[[Path, int], None]] = [lambda folder, tag: comparing(stage, reading(stage, tag), folder)]
    for tag in range(PASSES):
        with tempfile.TemporaryDirectory() as folder:
            for each in passes:
                each(Path(folder), tag)
        times(stage)
    for name, taken in stage.best.items():
        print(f"{name:34}{taken:8.2f}")


if __name__ == "__main__":
    main()
