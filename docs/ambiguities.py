"""The page of what vendors' documents leave open: the tables of the vendors' READMEs, each row with the case files that test it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "providers" / "cases"
HEAD = """\
# What the vendors' documents leave open

Written by `make docs` from the vendors' READMEs and the case files. Each row is a doubt, the rule that is safe under each reading of it, the
switch with which `poller demo --switch` plays it, and the case files in `tests/providers/cases` that ask and answer so
(`tests/providers/test_exam.py` plays them; a letter without a case file, and a case file without a letter, fail there).
"""


def page() -> str:
    """All vendors, by name."""
    folders = sorted(path.parent for path in (ROOT / "poller" / "providers").glob("*/README.md"))
    return "\n".join([HEAD, *(_vendor(folder) for folder in folders)])


def _vendor(folder: Path) -> str:
    """One vendor's table."""
    readme = (folder / "README.md").read_text(encoding="utf-8")
    lines = [f"## {folder.name}", "", "| | left open | rule | switch | case files |", "| --- | --- | --- | --- | --- |"]
    for letter, *cells in re.findall(r"^\| (\w) \| (.*?) \| (.*?) \|(?: (.*?) ?\|)?$", readme, re.MULTILINE):
        doubt, rule, switch = cells
        files = ", ".join(f"`{path.stem[2:]}`" for path in sorted((CASES / folder.name).glob(f"{letter}-*.json")))
        lines.append(f"| {letter} | {doubt} | {rule} | {switch} | {files} |")
    return "\n".join([*lines, ""])
