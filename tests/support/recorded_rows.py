"""The three vendors' lists over recorded rows: what was listed once is listed again, byte for byte, by no code of the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from poller.demo.simulator.vendors.answers import Answer
from poller.model import Instant
from poller.times import parse_rfc3339
from tests.support.straight import Sent

SECOND = 1_000_000
NEVER = 1 << 62
FOUND = 200


class RecordedRows:
    """Rows as ``tests.lab.record_state`` wrote them; ``limit`` is the longest page of Heymarket and Fone Dynamics."""

    def __init__(self, rows: Iterable[dict[str, Any]], limit: int, now: Callable[[], Instant]) -> None:
        self._rows = sorted(rows, key=lambda each: -each["created"])
        self._limit, self._now = limit, now
        self.listed: set[str] = set()
        """Texts of the rows that were listed so far."""

    def answer(self, asked: Sent) -> Answer:
        """One request, whoever asks."""
        _, provider, *path = asked.path.split("/")
        query, body = asked.query, json.loads(asked.body or b"{}")
        routes = {"stuut": self._stuut, "heymarket": self._heymarket, "fonedynamics": self._fonedynamics}
        status, found = routes[provider]([unquote(part) for part in path], query, body)
        date = datetime.fromtimestamp(self._now() / SECOND, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Answer(status, found.encode(), headers={"date": date})

    def _stuut(self, path: list[str], query: dict[str, str], body: dict[str, Any]) -> tuple[int, str]:
        thread = path[2]
        if not any(row["stream"] == thread for row in self._rows):
            return 404, '{"detail":"Not found"}'
        return FOUND, self._list(self._of("stuut", thread))

    def _heymarket(self, path: list[str], query: dict[str, str], body: dict[str, Any]) -> tuple[int, str]:
        team = self._of("heymarket", "team")
        match path:
            case ["v1", "messages"]:
                until = int(query["timestamp"]) * SECOND
                talk = [row for row in team if row["row"].get("phone") == query["phoneNumber"] and row["created"] < until]
                return FOUND, self._list(talk[:50])
            case ["v1", "messages", "all", *count]:
                cursor = parse_rfc3339(body.get("created_at"))
                rows = [row for row in team if cursor is None or row["created"] < cursor.instant]
                if count:
                    return FOUND, f'"{len(rows)}"'
                if body.get("order") == "updated_at":
                    rows.sort(key=lambda row: -row["updated"])
                return FOUND, self._list(rows[: min(self._limit, body.get("limit", self._limit))])
        return 404, "{}"

    def _fonedynamics(self, path: list[str], query: dict[str, str], body: dict[str, Any]) -> tuple[int, str]:
        if path[:2] == ["v2", "Messages"]:
            one = [row for row in self._rows if row["row"].get("MessageSid") == path[2]]
            return (FOUND, f'{{"Message":{self._text(one[0])}}}') if one else (404, '{"ResponseStatus":{"ErrorCode":"NotFound"}}')
        asked: dict[str, Any] = {**query, **body}
        since, until = int(asked["Date_From"]) * SECOND, int(asked["Date_To"]) * SECOND
        rows = [row for row in self._of("fonedynamics", path[2]) if since <= row["created"] < until]
        rows = [row for row in rows if row["row"]["Direction"] == asked.get("Direction", row["row"]["Direction"])]
        skip = int(asked.get("Results_Skip", 0))
        return FOUND, f'{{"Messages":{self._list(rows[skip : skip + self._limit])}}}'

    def _of(self, provider: str, stream: str) -> list[dict[str, Any]]:
        return [row for row in self._rows if (row["provider"], row["stream"]) == (provider, stream)]

    def _list(self, rows: list[dict[str, Any]]) -> str:
        return "[" + ",".join(map(self._text, rows)) + "]"

    def _text(self, row: dict[str, Any]) -> str:
        text = json.dumps(row["row"])
        self.listed.add(text)
        return text
