"""Files that change while the daemon runs: mounted secrets, lists of names. One way to notice, one way to read them.

A file is looked at by its path whenever it is used, through every symbolic link, so the swap that Kubernetes
makes of a mounted folder is seen by the next look. Nothing is remembered of a file but its stamp.
"""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from .certificates import Stamp

TEXT_BYTES_MAX = 64 << 20
"""Bytes of the largest text that is read: a million names; a device or a wrong path is above."""


class Unreadable(Exception):
    """A file that cannot be read as text; its message says why, never what it holds."""


class FileWatch:
    """One file by its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: Stamp | None = None

    def changed(self) -> str | None:
        """The file's text if it changed since it was read last, else None. Raises Unreadable; then it is read again next time."""
        try:
            found = self.path.stat()
            stamp = found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
            if stamp == self._stamp:
                return None
            self._stamp = None
            if not stat.S_ISREG(found.st_mode):
                raise Unreadable("not a file")
            if found.st_size > TEXT_BYTES_MAX:
                raise Unreadable(f"larger than {TEXT_BYTES_MAX >> 20} MiB")
            text = text_of(self.path.read_bytes())
        except OSError as error:
            raise Unreadable((error.strerror or "it cannot be read").lower()) from None
        except ValueError:
            raise Unreadable("its name cannot be one") from None
        self._stamp = stamp
        return text


def text_of(raw: bytes) -> str:
    """UTF-8, whose byte-order mark is left out, or UTF-16 with one. Raises Unreadable for anything else."""
    try:
        text = raw.decode("utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("neither UTF-8 nor UTF-16 text") from None
    if "\0" in text:
        raise Unreadable("neither UTF-8 nor UTF-16 text")
    return text
