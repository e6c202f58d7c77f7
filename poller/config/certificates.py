"""Whom TLS trusts: the system's authorities, or those of a file. One context for all who trust the same."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from ..errors import ConfigError

CONTEXTS_KEPT = 64
"""TLS contexts that are remembered: each costs 20 ms and 0.8 MiB, and an installation has few authorities."""

SYSTEM = "SSL_CERT_FILE"
"""The variable that names the file of the system's authorities, as OpenSSL's and curl's manuals say."""

Stamp = tuple[int, int, int, int]


def stamp_of(path: Path) -> Stamp:
    """What changes when a file does, also behind a symbolic link that is swapped. Raises OSError."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """The context for an account or a broker. Raises ConfigError where the file holds no whole certificates.

    Without a file the system's authorities are trusted. ``SSL_CERT_FILE`` names them to OpenSSL, which says nothing where it cannot
    use what is named, and trusts nobody.
    """
    if ca_file is not None:
        return _usable(ca_file, f"the file {ca_file}")
    named = os.environ.get(SYSTEM)
    if not named:
        return _context(None, None)
    _usable(Path(named), f"the file {named}, which the environment variable {SYSTEM} names,")
    return _context(None, _stamp(Path(named)))


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path)
    except (OSError, ValueError):
        return None


def _usable(file: Path, said: str) -> ssl.SSLContext:
    """The context of a file's authorities. Raises ConfigError."""
    try:
        return _context(file, stamp_of(file))
    except OSError as error:  # ssl.SSLError is one of them
        why = "it holds no whole certificates" if isinstance(error, ssl.SSLError) else (error.strerror or "it cannot be read").lower()
    except ValueError:
        why = "its name cannot be one"
    raise ConfigError([f"{said} cannot be used: {why}; expected certificates in PEM form; fix: write it whole, or name another"])


@lru_cache(maxsize=CONTEXTS_KEPT)
def _context(ca_file: Path | None, stamp: Stamp | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def client_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None, password: str | None) -> ssl.SSLContext:
    """A context of one's own, with a client's certificate where there is one. Raises ConfigError where they do not fit together."""
    tls_context(ca_file)
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password or "")
        except (OSError, ValueError) as error:
            why = f"certificates cannot be used ({type(error).__name__})"
            raise ConfigError([f"{why}; expected PEM files that fit together; fix: check cert_file, key_file and key_password"]) from None
    return context
