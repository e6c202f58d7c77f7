"""The house keeps its form: the map is whole, files and functions stay small, every outside thing has its place."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.house import rooms

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "poller").rglob("*.py"))
FOLDERS = sorted({path.parent for path in SOURCES})
FILE_LINES_MAX, FUNCTION_LINES_MAX = 350, 50
TIERS = {"unit", "providers", "house", "simulation", "sockets", "kafka"}
NO_TESTS = {"lab", "support"}
PLACES = {
    "httpx": {"polling/client/over_httpx.py", "polling/client/transport.py", "kafka/schema_registry.py"},
    "aiohttp": {"polling/client/over_aiohttp.py"},
    "aiokafka": {
        "kafka/client.py",
        "kafka/connection.py",
        "kafka/writer.py",
        "kafka/assignor.py",
        "kafka/translate.py",
        "kafka/membership.py",
        "kafka/topics.py",
        "kafka/connect.py",
        "kafka/public_topics.py",
    },
    "asyncio": {"kafka/client.py", "kafka/connection.py", "kafka/writer.py", "kafka/membership.py"},
    "rocksdict": {"publishing/cache.py"},
    "prometheus_client": {"telemetry/metrics.py", "telemetry/facts.py"},
    "structlog": {"telemetry/log.py"},
    "opentelemetry": {"telemetry/traces.py"},
    "jinja2": {"telemetry/page.py"},
    "pydantic": {"config/load.py", "config/file.py", "config/report.py", "config/references.py", "config/forms.py", "config/schema.py"},
    "yaml": {"config/yaml_document.py"},
    "starlette": {"telemetry/admin.py"},
    "uvicorn": {"telemetry/admin.py"},
    "cyclopts": {"cli.py", *(f"commands/{name}.py" for name in ("arguments", "audit", "backfill", "reshard", "status", "tail"))},
    "jwt": {"providers/kit/auth.py"},
    "time": {"clock.py", "kafka/membership.py"},
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


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_each_folder_says_its_law_and_names_what_it_holds(folder: Path) -> None:
    """A stranger finds any file from the docstrings of the folders above it."""
    law = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    held = [path.stem for path in folder.glob("*.py")] + [path.parent.name for path in folder.glob("*/__init__.py")]
    assert not [name for name in held if not name.startswith("__") and not re.search(rf"\b{name}\b", law)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    """A reader can hold a file in mind, and a function on a screen."""
    assert rooms.lines_of(path) <= FILE_LINES_MAX
    for function in rooms.functions(path):
        assert function.lines <= FUNCTION_LINES_MAX, function


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_file_says_what_it_is(path: Path) -> None:
    """A file's first line is a sentence about what it holds, not its name once more."""
    said = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
    assert len(said.split()) > 2 or path.name == "__main__.py", said
    assert said.endswith((".", "::", ":")), said


VAGUE = re.compile(r"\b[Ss]o (?:many|much|long)\b(?! that| as|,)")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sentences_name_the_thing(path: Path) -> None:
    """No docstring says "so many" or "so long" in place of what it speaks of: it would lean on the line above it."""
    texts = [
        node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    assert not [found for text in texts for found in VAGUE.findall(str(text.value))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_constant_says_what_it_is(path: Path) -> None:
    """A constant stands alone: what it is, its unit, and why it is no other."""
    body = ast.parse(path.read_text()).body
    for line, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.Assign | ast.AnnAssign):
            name = ast.unparse(line.targets[0] if isinstance(line, ast.Assign) else line.target)
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert said or not name.isupper() or len(name) == 1 or name.startswith(("_", "(_")), f"{path.name}: {name}"


REFERENCE = re.compile(r":(?:class|func|meth|mod|data|attr):`[~.\w]*?(\w+)`|``([\w/]+\.py)``")


def defined() -> set[str]:
    """Every name that the repository's Python code defines or takes, its modules and their folders, and the paths of its files."""
    found: set[str] = set()
    for path in [path for path in tracked() if path.suffix == ".py"]:
        found |= {path.relative_to(ROOT).as_posix(), path.stem, path.parent.name, path.name}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    return found


def test_what_a_docstring_refers_to_exists() -> None:
    """A reader who follows a reference finds what it names: no file, class or function that was renamed or is gone."""
    names = defined()
    for path in [path for path in tracked() if path.suffix == ".py"]:
        for found in REFERENCE.finditer(path.read_text()):
            assert (found[1] or found[2]) in names, f"{path}: {found[0]}"


def test_arrows_between_rooms_lead_down() -> None:
    """No room imports one on its own floor or above it, none imports itself by way of others, and each has a floor."""
    assert rooms.upward() == []
    assert rooms.circle() == []
    assert {room for arrow in rooms.arrows() for room in arrow} <= rooms.floors().keys()


def test_no_vendor_is_forgotten_by_the_contract() -> None:
    """Each vendor's folder is named where vendors are kept apart."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    apart = next(set(each["modules"]) for each in contracts if each["type"] == "independence")
    assert apart == {f"poller.providers.{path.parent.name}" for path in (ROOT / "poller" / "providers").glob("*/provider.py")}


def test_every_test_lies_in_a_tier() -> None:
    """A test's folder says when it is run; what is no test lies beside the tiers, and its name does not begin like a test's."""
    found = [path.relative_to(ROOT / "tests") for path in sorted((ROOT / "tests").rglob("*.py"))]
    assert [path for path in found if path.name.startswith("test_") and path.parts[0] not in TIERS] == []
    assert {path.parts[0] for path in found if len(path.parts) > 1} == TIERS | NO_TESTS
    assert {path.parts[0] for path in found if path.name.startswith("test_")} == TIERS
    assert [path for path in found if len(path.parts) == 1 and path.name not in ("__init__.py", "conftest.py")] == []


def test_the_tiers_have_their_commands() -> None:
    """Each tier is a marker of pytest, has a make target, and is told of in tests/README.md."""
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    assert {marker.partition(":")[0] for marker in markers} == TIERS
    targets, told = (ROOT / "Makefile").read_text(), (ROOT / "tests" / "README.md").read_text()
    assert not [tier for tier in TIERS if f" tests/{tier}" not in targets or f"`{tier}/`" not in told]


@pytest.mark.parametrize("path", [p for p in SOURCES if "demo" not in p.parts], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_outside_thing_has_its_place(path: Path) -> None:
    """Only the named files import each library."""
    strangers = {name for name in imported(path) & PLACES.keys() if str(path.relative_to(ROOT / "poller")) not in PLACES[name]}
    assert not strangers


def test_every_test_is_a_sentence() -> None:
    """Each test says its promise in its docstring."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_what_a_page_points_at_exists() -> None:
    """A file, folder or test that a page for developers names is there."""
    tests = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    for page in (*(ROOT / "docs" / f"{name}.md" for name in ("architecture", "glossary", "laws", "world")), ROOT / "CONTRIBUTING.md"):
        for named in re.findall(r"`([\w./]+)`", page.read_text()):
            if named.startswith("test_") and not named.endswith(".py"):
                assert named in tests, f"{page.name}: {named}"
            elif named.endswith((".py", ".md", "/")):
                assert any((base / named).exists() for base in (ROOT, ROOT / "poller", ROOT / "docs")), f"{page.name}: {named}"


def test_kinds_of_state_records_have_names() -> None:
    """Nobody but the enum of the kinds writes the byte that a state record's key begins with."""
    bare = re.compile(r"key\[:1\] (?:==|!=|in|not in) \(?b\"")
    assert not [path for path in SOURCES if bare.search(path.read_text())]


def test_every_word_of_the_glossary_is_used() -> None:
    """The glossary defines no word that the package does not say."""
    said = "\n".join(path.read_text().lower() for path in (ROOT / "poller").rglob("*") if path.suffix in (".py", ".html"))
    words = {
        word.strip() for terms in re.findall(r"\*\*([^*]+)\*\*", (ROOT / "docs" / "glossary.md").read_text()) for word in terms.split(",")
    }
    assert len(words) > 40
    assert not [word for word in words if word not in said]


def test_no_banned_words_in_the_repository() -> None:
    """No unfinished work, no package host, no path of a machine."""
    for path in tracked():
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".txt", ".json") or path.name in ("Makefile", "run", "Dockerfile"):
            found = BANNED.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path}: {found and found[0]}"
