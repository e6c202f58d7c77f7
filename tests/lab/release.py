"""``make release``: is what lies in ``dist`` a release? Only the standard library, so that it runs before anything is installed.

The version is that of the tag (or nothing is tagged, and it says so), of the changelog's newest entry and of the chart; the wheel, installed
by itself in a fresh environment, answers; its schemas and its runbook are in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def said(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def version() -> str:
    """The package's own."""
    found = re.search(r'__version__ = "(.+?)"', (ROOT / "poller/__init__.py").read_text())
    assert found, "poller/__init__.py has a version"
    return found[1]


def differences(name: str) -> list[str]:
    """What does not carry this version."""
    tags = said("git", "tag", "--points-at", "HEAD").splitlines()
    chart = (ROOT / "deploy/helm/poller/Chart.yaml").read_text()
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    wrong = [f"the tag {tag}" for tag in tags if tag != f"v{name}"]
    wrong += [] if newest and newest[1] == name else ["the newest entry of CHANGELOG.md"]
    wrong += [] if f'appVersion: "{name}"' in chart and f"version: {name}" in chart else ["the chart"]
    schemas, frozen = ({path.name for path in (ROOT / folder).glob("*.json")} for folder in ("schemas", f"schemas/history/{name}"))
    wrong += [] if schemas == frozen else [f"schemas/history/{name}, which must hold the schemas as they are released"]
    if not tags:
        print(f"nothing is tagged here yet: git tag v{name}")
    return wrong


def address_missing() -> bool:
    """Whether the metadata names no repository: nobody who has only the package would find where it is made."""
    return "urls" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def answers(wheel: Path, name: str) -> None:
    """The wheel works by itself."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        program = f"{folder}/bin/poller"
        said(f"{folder}/bin/pip", "install", "-q", "--disable-pip-version-check", "-c", "constraints.txt", str(wheel))
        assert name in said(program, "version")
        assert "sms.message.created.v1" in said(program, "schemas", "list")
        assert "accounts:" in said(program, "config", "example")


def main(folder: Path) -> None:
    """Check everything; say what is left to do."""
    name = version()
    wrong = differences(name)
    if wrong:
        raise SystemExit(f"version {name} is not that of: {', '.join(wrong)}")
    [wheel] = folder.glob(f"poller-{name}-*.whl")
    [_] = folder.glob(f"poller-{name}.tar.gz")
    answers(wheel, name)
    if address_missing():
        print(
            "the metadata names no address: add [project.urls] to pyproject.toml (Repository, Changelog) once the repository has a public one"
        )
    print(f"{wheel.name} and its source are in {folder}; the bill of materials is build/sbom.json. Left to do: upload.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
