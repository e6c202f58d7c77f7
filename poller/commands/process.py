"""A command as a process: how its work is run, and what ends it before it is done.

A signal ends every command but ``run`` with exit code 130. A reader that goes away, as ``head``
does, ends a command quietly: also a command that waits and would not write for a long time.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Coroutine
from typing import Any

import anyio

from ..errors import PollerError, first
from ..signals import until_signal
from .exit_codes import ExitCode

PIPE_LOOK_S = 0.5
"""Seconds between two looks at whether somebody still reads our output."""


def complete(work: Coroutine[Any, Any, int | None]) -> int:
    """Run a command's work on the event loop until it is done or a signal comes; its exit code.

    Raises PollerError as the work did, BrokenPipeError when nobody reads our output.
    """
    try:
        return anyio.run(_plain_errors, _unless_ended(work), backend_options=_fastest_loop())
    finally:
        work.close()  # where a signal came before the loop ran


def serve(work: Coroutine[Any, Any, None]) -> int:
    """Run a daemon, which listens to signals itself; its exit code. Raises PollerError as the work did."""
    try:
        return anyio.run(_plain_errors, work, backend_options=_fastest_loop())
    finally:
        work.close()  # where a signal came before the loop ran


def _fastest_loop() -> dict[str, Any]:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return {}
    return {"use_uvloop": True}


async def _plain_errors(work: Coroutine[Any, Any, int | None]) -> int:
    """An expected error by itself, without the groups that task groups wrap it in."""
    trouble: PollerError | None = None
    code: int | None = None
    try:
        code = await work
    except* PollerError as group:
        trouble = first(group)
    if trouble is not None:
        raise trouble
    return code or ExitCode.DONE


async def _unless_ended(work: Coroutine[Any, Any, int | None]) -> int:
    """What a command's work comes to, unless a signal or a reader that leaves comes first."""
    code: int | None = None
    reader_left = False
    try:
        async with until_signal(), anyio.create_task_group() as tasks:
            tasks.start_soon(_until_reader_leaves, tasks.cancel_scope)
            code = await work or ExitCode.DONE
            tasks.cancel_scope.cancel()
    except* BrokenPipeError:
        reader_left = True
    if code is not None:
        return code
    if reader_left or _reader_left():
        raise BrokenPipeError
    return ExitCode.INTERRUPTED


async def _until_reader_leaves(scope: anyio.CancelScope) -> None:
    while not _reader_left():
        await anyio.sleep(PIPE_LOOK_S)
    scope.cancel()


def _reader_left() -> bool:
    """Whether standard output is a pipe or terminal whose other end is closed."""
    try:
        looked = select.poll()
        looked.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLNVAL) for _, event in looked.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


def silence_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
