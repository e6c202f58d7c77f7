"""The border to a provider's code: whatever it raises that is no error of ours ends no worker, whoever wrote that code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BadPage, PollerError


@contextmanager
def provider_code(failed: str) -> Iterator[None]:
    """A block that calls a provider. Any error that is none of ours is BadPage, which begins with ``failed``."""
    try:
        yield
    except PollerError:
        raise
    except Exception as error:
        raise BadPage(f"{failed} ({type(error).__name__})", fix="report it: the provider's code fell over it") from error
