"""The local cache of the state topic: one RocksDB for all shards of this worker, which may vanish at any time.

Kafka holds the truth; the cache answers look-ups and saves a restore from the start. A
shard's rows and the offset they stand for change in one atomic batch, so the cache is never
ahead of the log. RocksDB was chosen by measurement (``make bench``): an upsert costs about a
tenth of SQLite's with random keys, and upserts are what restores and new messages wait for.
A kernel lock keeps a second worker out of the folder; it ends with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from msgspec import Struct
from rocksdict import BlockBasedOptions, Cache, DbClosedError, Options, Rdict, WriteBatch

from ..errors import CacheError, ConfigError, CorruptState
from ..model import Instant

WRITE_BUFFER_BYTES = 4 << 20
"""Bytes that RocksDB gathers in memory before it writes a file; up to three such buffers wait."""

BLOCK_CACHE_BYTES = 16 << 20
"""Bytes of rows that RocksDB keeps in memory after reading them."""

SCAN_ROWS_MAX = 2_000
"""Rows of one step of a scan, so that polling goes on between two steps."""

_POSITION = b"\xffposition"


class Position(Struct, frozen=True):
    """How far a shard's rows stand for its log, and which log that is."""

    offset: int
    """Everything before it is applied. A restore begins at ``last``, to meet the log's nonce again."""
    last: int
    """Where the last applied transaction's records begin at the latest."""
    nonce: str
    cluster: str
    written: Instant
    """Wall time; a cache older than the topic's delete.retention.ms may have missed a tombstone."""


class CacheDirectory:
    """The cache folder, opened. A context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock: IO[str] | None = None
        self._db: Rdict | None = None

    def __enter__(self) -> CacheDirectory:
        """Lock and open. Raises ConfigError when another worker has it, or the disk refuses: only the operator can mend that."""
        self._lock = _locked(self.directory)
        try:
            self._open()
        except CacheError as error:
            self._lock.close()
            raise ConfigError([f"{error}; expected a folder for the cache; fix: {error.fix or 'set another state.directory'}"]) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Close and unlock. A disk that refuses now takes nothing: what the cache lacks is in Kafka."""
        try:
            if self._db is not None:
                with contextlib.suppress(Exception):
                    self._db.close()
        finally:
            if self._lock is not None:
                self._lock.close()

    def _open(self) -> None:
        path = str(self.directory / "cache")
        try:
            self._db = Rdict(path, options=_options())
        except Exception as error:
            if _is_full(error):
                raise _cache_error(error, self.directory) from None
            shutil.rmtree(path, ignore_errors=True)
            try:
                self._db = Rdict(path, options=_options())
            except Exception as again:
                raise _cache_error(again, self.directory) from None

    def shard(self, number: int) -> ShardCache:
        """The rows of one shard."""
        assert self._db is not None, "the store is open"
        return ShardCache(self._db, self.directory, number)


def _locked(directory: Path) -> IO[str]:
    """The lock of a folder, which is made where it is missing. Raises ConfigError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "its name cannot be one").lower()
        wanted = "expected one that this user may write; fix: make it so, or set another state.directory"
        raise ConfigError([f"the folder {str(directory)!r} cannot be used: {why}; {wanted}"]) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        wanted = "expected a folder of its own for each; fix: set another state.directory, or stop the other worker"
        raise ConfigError([f"{directory} is in use by another worker; {wanted}"]) from None
    return lock


class ShardCache:
    """One shard's rows: state keys to state values, and the position they stand for.

    Every method raises CacheError when the disk refuses, CorruptState when it holds nonsense.
    """

    def __init__(self, db: Rdict, directory: Path, number: int) -> None:
        self._db, self._directory = db, directory
        self._prefix = number.to_bytes(2, "big")
        self._end = (number + 1).to_bytes(2, "big")

    def get(self, key: bytes) -> bytes | None:
        """One value."""
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of the keys."""
        prefix = self._prefix
        try:
            return cast("list[bytes | None]", self._db.get([prefix + key for key in keys]) if keys else [])
        except Exception as error:
            raise _cache_error(error, self._directory) from None

    def write(self, rows: Iterable[tuple[bytes, bytes | None]], position: Position) -> None:
        """Apply rows (None deletes) and their position in one atomic batch."""
        prefix, batch = self._prefix, WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(prefix + key)
            else:
                batch.put(prefix + key, value)
        batch.put(prefix + _POSITION, msgspec.msgpack.encode(position))
        try:
            self._db.write(batch)
        except Exception as error:
            raise _cache_error(error, self._directory) from None

    def position(self) -> Position | None:
        """How far the rows stand for the log; None for an empty cache."""
        raw = self.get(_POSITION)
        try:
            return None if raw is None else msgspec.msgpack.decode(raw, type=Position)
        except msgspec.DecodeError:
            return None

    def drop(self) -> None:
        """Forget everything of this shard."""
        try:
            self._db.delete_range(self._prefix, self._end)
        except Exception as error:
            raise _cache_error(error, self._directory) from None

    def scan(self, kind: bytes, after: bytes = b"", limit: int = SCAN_ROWS_MAX) -> list[tuple[bytes, bytes]]:
        """Up to ``limit`` rows whose keys begin with ``kind`` and come after ``after``, in key order."""
        start = self._prefix + (after + b"\0" if after else kind)
        rows: list[tuple[bytes, bytes]] = []
        try:
            items: Any = self._db.items(from_key=start)
            for key, value in items:
                if not key.startswith(self._prefix + kind) or len(rows) >= limit:
                    break
                rows.append((key[2:], value))
        except DbClosedError:
            return []
        except Exception as error:
            raise _cache_error(error, self._directory) from None
        return rows


def _options() -> Options:
    """Small buffers: a worker's memory is for its streams."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(3)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options


def _is_full(error: Exception) -> bool:
    return "No space left" in str(error) or "Permission denied" in str(error) or "Read-only" in str(error)


def _cache_error(error: Exception, directory: Path) -> CacheError:
    """Sort an exception of the library by what the operator can do; its text may name keys, so it is not quoted."""
    if "orruption" in str(error):
        return CorruptState("the local cache holds nonsense")
    if _is_full(error):
        free = shutil.disk_usage(directory).free if directory.exists() else 0
        return CacheError(
            f"the local cache cannot be written: {free >> 20} MiB are free where state.directory is",
            fix="free space there, or point state.directory elsewhere",
        )
    return CacheError(f"the local cache failed ({type(error).__name__})")
