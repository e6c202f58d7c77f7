"""YAML with line numbers: a document as plain values, and the line of every key in it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ..errors import ConfigError

Place = tuple[str | int, ...]

VALUES_MAX = 1_000_000
"""Values of a document, each alias counted as often as it stands: a few lines of aliases of aliases could be more than memory holds."""

_TABS = re.compile(r"^\t+", re.MULTILINE)


class Document:
    """A parsed document: ``value``, ``lines`` by place, and what was wrong with it as (place, what)."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {(): 1}
        self.wrong: list[tuple[Place, str]] = []
        try:
            json = text.lstrip("\ufeff \t\r\n").startswith("{")  # which may be indented by tabs
            node = yaml.compose(_TABS.sub(lambda tabs: " " * len(tabs[0]), text) if json else text, Loader=yaml.SafeLoader)
            self._loader = yaml.SafeLoader("")
            self.value: Any = None if node is None else self._plain(node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            raise ConfigError([f"{name}:{line}: (document): {_problem(error)}"]) from None
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ConfigError([f"{name}:1: (document): not YAML text; expected a mapping; fix: see poller config example"]) from None

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]

    def said(self, place: Place, what: str) -> str:
        """What is wrong at a place, as one line with the file, the line and the key."""
        return f"{self.name}:{self.line(place)}: {_key(place)}: {what}"

    def _plain(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if len(self.lines) > VALUES_MAX:
            mark = node.start_mark
            raise yaml.MarkedYAMLError(
                problem=f"more than {VALUES_MAX:,} values, aliases counted as often as they stand", problem_mark=mark
            )
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
                inner = (*place, key)
                if key in found:
                    self.lines[inner] = key_node.start_mark.line + 1
                    self.wrong.append((inner, "the key is given twice; expected it once; fix: remove one of them"))
                self.lines[inner] = key_node.start_mark.line + 1
                found[key] = self._plain(value_node, inner)
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(each, (*place, number)) for number, each in enumerate(node.value)]
        return self._loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType]


def _key(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "(document)"


def _problem(error: yaml.MarkedYAMLError) -> str:
    if "\\t" in (error.problem or "") or "'\t'" in (error.problem or ""):
        return "a tab is used for indentation; expected spaces; fix: replace the tab by spaces"
    return f"{error.problem or 'not YAML'}; expected valid YAML; fix: correct the syntax here"
