"""The house keeps its form: the map is whole, files and functions stay small, every outside thing has its place."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "poller").rglob("*.py"))
FILE_LINES_MAX, FUNCTION_LINES_MAX = 400, 60
PLACES = {
    "httpx": {"fetch.py"},
    "httpx_aiohttp": {"fetch.py"},
    "aiokafka": {"kafka.py", "kafka_errors.py", "group.py", "topics.py", "connect.py", "published.py"},
    "asyncio": {"kafka.py"},
    "rocksdict": {"store.py"},
    "prometheus_client": {"telemetry.py"},
    "structlog": {"telemetry.py"},
    "pydantic": {"config.py", "config_file.py", "example.py"},
    "yaml": {"yaml_lines.py"},
    "starlette": {"status.py"},
    "uvicorn": {"status.py"},
    "cyclopts": {"cli.py"},
    "jwt": {"heymarket.py"},
    "time": {"clock.py", "group.py"},
}
BANNED = re.compile(
    r"TO" r"DO|FIX" r"ME|X" r"XX|pypi\.org|files\.pythonhosted|repo1?\.maven|registry\.npmjs|/" r"work/|/ro" r"ot/|/ho" r"me/", re.ASCII
)


def imported(path: Path) -> set[str]:
    """The outside packages that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def tracked() -> list[Path]:
    """The repository's text files."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def test_the_map_names_every_file() -> None:
    """The package's docstring lists every module."""
    text = (ROOT / "poller" / "__init__.py").read_text()
    missing = [path.stem for path in SOURCES if not path.stem.startswith("__") and not re.search(rf"\b{path.stem}\b", text)]
    assert not missing


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    """A reader can hold a file in mind, and a function on a screen."""
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", [p for p in SOURCES if "demo" not in p.parts], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_outside_thing_has_its_place(path: Path) -> None:
    """Only the named files import each library."""
    strangers = {name for name in imported(path) & PLACES.keys() if path.name not in PLACES[name]}
    if path.name in ("store.py", "fetch.py", "app.py", "cli.py", "worker.py", "online.py"):
        strangers.discard("time")
    assert not strangers


def test_every_test_is_a_sentence() -> None:
    """Each test says its promise in its docstring."""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_no_banned_words_in_the_repository() -> None:
    """No unfinished work, no package host, no path of a machine."""
    for path in tracked():
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".txt", ".json") or path.name in ("Makefile", "run", "Dockerfile"):
            found = BANNED.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path}: {found and found[0]}"
