"""The floor plan, measured: ``make house`` prints the rooms with their lines, the arrows between them, and what is longest.

A room is a folder of ``poller`` or a file that lies beside the folders. An arrow leads from the room that imports to the room
that is imported. Rooms stand on the floors that ``pyproject.toml`` lists; an arrow that leads to its own floor or to a
higher one is upward.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "poller"


class Function(NamedTuple):
    """A function and its length in lines, decorators and docstring included."""

    lines: int
    name: str
    path: Path


def sources() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def lines_of(path: Path) -> int:
    """How long a file is."""
    return path.read_text(encoding="utf-8").count("\n")


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, methods and inner ones as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function((node.end_lineno or 0) - node.lineno + 1, node.name, path)


def room_of(module: tuple[str, ...]) -> str:
    """The room of a module of the package, which is given as the parts of its name after ``poller``."""
    return module[0] if module else "__init__"


def arrows() -> Counter[tuple[str, str]]:
    """How many imports lead from one room to another."""
    found: Counter[tuple[str, str]] = Counter()
    rooms = {path.stem for path in PACKAGE.iterdir()} - {"__init__"}
    for path in sources():
        place = path.relative_to(PACKAGE).with_suffix("").parts
        for target in _imports(path, place):
            here, there = room_of(place), room_of(target)
            if here != there and there in rooms:
                found[here, there] += 1
    return found


def _imports(path: Path, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The modules of the package that a file imports, at its head or later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            named = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = place[: len(place) - node.level] + named
            elif named[:1] == ("poller",):
                base = named[1:]
            else:
                continue
            yield from [base] if base else [(alias.name,) for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")[1:]) for alias in node.names if alias.name.split(".")[0] == "poller")


def floors() -> dict[str, int]:
    """The floor of each room, the ground being 0, as the layers contract of ``pyproject.toml`` has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    return {room.strip(): height for height, floor in enumerate(reversed(layers)) for room in floor.split("|")}


def upward() -> list[tuple[str, str]]:
    """Arrows that do not lead down."""
    height = floors()
    return sorted(arrow for arrow in arrows() if height[arrow[0]] <= height[arrow[1]])


def circle() -> list[str]:
    """Rooms that import each other in a circle, the first that is found; empty if there is none."""
    graph: dict[str, set[str]] = {}
    for here, there in arrows():
        graph.setdefault(here, set()).add(there)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def report() -> str:
    """What ``make house`` prints."""
    sizes: Counter[str] = Counter()
    for path in sources():
        sizes[room_of(path.relative_to(PACKAGE).with_suffix("").parts)] += lines_of(path)
    height, leads = floors(), arrows()
    rows = []
    for room in sorted(sizes, key=lambda room: (-height.get(room, len(height)), room)):
        to = ", ".join(f"{there} {count}" for (here, there), count in sorted(leads.items()) if here == room)
        rows.append(f"{height.get(room, '-'):>5}  {room:<12} {sizes[room]:>5}  {to}".rstrip())
    longest, function = max(sources(), key=lines_of), max(each for path in sources() for each in functions(path))
    return "\n".join(
        [
            "floor  room         lines  imports",
            *rows,
            f"{sum(sizes.values())} lines, {len(leads)} arrows: {len(upward())} upward, {int(bool(circle()))} circles",
            f"longest file {longest.relative_to(ROOT)} {lines_of(longest)}",
            f"longest function {function.name} in {function.path.relative_to(ROOT)} {function.lines}",
        ]
    )


if __name__ == "__main__":
    print(report())
