"""Every command that a document prints can be called as it stands there, and every link within the repository leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError, MissingArgumentError

from poller.cli import DEBUG, app
from poller.telemetry.runbook import entries

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^ *```.*?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(poller [^`\n]+)`")
CALL = re.compile(r"(?:^|[|;&]\s*|\$\s+)poller\s+([^|;&><#\n]*)", re.MULTILINE)
PLACES = re.compile(r"\[[^\]]*\]|\.\.\.|…")
"""What a synopsis writes for what may be left out."""


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sentence names without --config takes the configuration from the environment."""
    monkeypatch.setenv("POLLER_CONFIG", "poller.yaml")


def calls(text: str) -> tuple[list[str], list[str]]:
    """``(whole, mentioned)``: commands of code blocks, and those that a sentence names, perhaps without what they need."""
    whole = [call for block in FENCED.findall(text) for call in CALL.findall(block.replace("\\\n", " "))]
    return whole, [found.removeprefix("poller ") for found in INLINE.findall(FENCED.sub("", text))]


def wrong(call: str, *, whole: bool) -> str | None:
    """Why a command cannot be called; a mentioned one may lack arguments, and name alternatives as ``list|export``."""
    first, *others = call.split()[:2]
    verbs = next((word.split("|") for word in (first, *others) if "|" in word), None)
    for each in [call.replace("|".join(verbs), verb, 1) for verb in verbs] if verbs else [call]:
        tokens = [token for token in shlex.split(PLACES.sub("", each)) if token != DEBUG]
        try:
            app.parse_args(tokens, exit_on_error=False, print_error=False)
        except MissingArgumentError as error:
            if whole:
                return str(error)
        except CycloptsError as error:
            return str(error)
    return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_can_be_called(path: Path) -> None:
    """Its name, its options and their values are those of the command line."""
    whole, mentioned = calls(path.read_text())
    faults = {call: why for call in whole if (why := wrong(call, whole=True))}
    faults |= {call: why for call in mentioned if (why := wrong(call, whole=False))}
    assert not faults


def test_every_command_in_the_help_can_be_called() -> None:
    """The examples of the commands themselves."""
    said = [
        line.partition("Example: poller ")[2]
        for name in ("check", "status", "tail", "trace", "explain", "backfill", "audit", "reshard", "rebuild")
        for line in (app[name].default_command.__doc__ or "").splitlines()
        if "Example: poller " in line
    ]
    assert len(said) >= 9
    assert not {call: why for call in said if (why := wrong(call.partition(" | ")[0], whole=True))}


def test_what_the_runbook_lets_people_explain_is_there() -> None:
    """`poller explain NAME` in any document names an entry."""
    known = {entry.name for entry in entries()}
    for path in DOCUMENTS:
        assert set(re.findall(r"poller explain ([A-Za-z_]+)", path.read_text())) - {"KIND", "NAME", "WORD"} <= known


def test_a_command_that_does_not_exist_is_found() -> None:
    """The check can fail."""
    for call in ("tial", "tail --tpoic x", "topics plot", "check --config x --offline", "tail --config x --topic y"):
        assert wrong(call, whole=True), call
    assert wrong("trace", whole=True)
    assert wrong("trace", whole=False) is None
    assert calls("`poller tail`\n```\n$ poller audit --from 1h | cat  # all\n```\n") == (["audit --from 1h "], ["tail"])


LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """What a link may name in a document: its headings, as GitHub writes them, and its own anchors."""
    headings = re.findall(r"^#+ +(.+?) *#*$", FENCED.sub("", text), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"(?:id|name)=\"([^\"]+)\"", text))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    """To a file or folder that is there, and to a heading in it."""
    lost = []
    for link in LINK.findall(FENCED.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())):
            lost.append(link)
    assert not lost


def test_a_link_that_leads_nowhere_is_found() -> None:
    """The check can fail."""
    assert anchors("# One `two` three!\n```\n# no\n```\n") == {"one-two-three"}
    assert LINK.findall("[a](b.md#c) and [d](https://e)") == ["b.md#c", "https://e"]


TARGET = re.compile(r"\bmake ([a-z][a-z-]+)")
PLACE = re.compile(r"(?<![\w/.-])((?:deploy|docs|examples|schemas|poller)/[\w./-]*\w)")
EVERY = [*DOCUMENTS, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "tests/README.md"))]


def code_of(text: str) -> str:
    """What a document shows as code."""
    return "\n".join([*FENCED.findall(text), *re.findall(r"`([^`\n]+)`", FENCED.sub("", text))])


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.name)
def test_what_a_document_makes_and_names_is_there(path: Path) -> None:
    """Each target of make, and each file and folder of the repository that code in a document names."""
    targets = set(re.findall(r"^([a-z][a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = code_of(path.read_text())
    assert set(TARGET.findall(code)) <= targets
    assert not [place for place in PLACE.findall(code) if not (ROOT / place).exists()]


def commands_of(program: str, text: str) -> list[str]:
    """The calls of a program in a document's code blocks, one a line, without comments."""
    lines = [line.partition("  #")[0].strip() for block in FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    return [line for line in (*lines, *inline) if line.startswith(f"{program} ")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_for_a_cluster_name_their_namespace(path: Path) -> None:
    """Typed as they stand they find the pods and the Secret of the page, wherever kubectl points by default."""
    text = path.read_text()
    found = [call for program in ("kubectl", "helm") for call in commands_of(program, text)]
    own = ("kubectl create namespace", "kubectl apply -k", "kubectl apply -f deploy/strimzi")
    assert not [call for call in found if len(call.split()) > 2 and not call.startswith(own) and "--namespace" not in call]


@pytest.mark.parametrize("name", ["With Helm", "With kustomize"])
def test_each_way_into_a_cluster_is_whole(name: str) -> None:
    """Whoever follows one section alone has a namespace, an image and a Secret before anything is applied."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    section = re.search(rf"^## {name}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    calls = commands_of("kubectl", section[1])
    assert calls[0].startswith("kubectl create namespace")
    assert calls[1].startswith("kubectl --namespace sms create secret generic poller")
    assert "docker build" in text
