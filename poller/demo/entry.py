"""Where ``poller demo`` begins: it says what to install where the extra is missing."""

from __future__ import annotations

from ..errors import Misused


def demo(*, seconds: float, port: int, hostile: bool, given: tuple[str, ...], keep: bool) -> int:
    """The demo with its switches: ``hostile`` for most of them, ``given`` as NAME=VALUE. Raises Misused without the extra, and for a switch that is none."""
    from .simulator.switches import HOSTILE, Switches, chosen

    try:
        switches = chosen(HOSTILE if hostile else Switches(), given)
    except ValueError as error:
        raise Misused(str(error)) from None
    try:
        from .command import demo as show
    except ModuleNotFoundError as error:
        raise Misused(f"the demo needs more than what is installed ({error.name})", fix="pip install 'poller[demo]'") from None
    return show(seconds=seconds, port=port, switches=switches, keep=keep)
