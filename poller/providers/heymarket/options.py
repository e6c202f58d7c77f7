"""What an account asks of a team: all of it, some of its inboxes, or single conversations."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...errors import ConfigError
from ...model import BadRow
from ..contract import Page, SecretOption, Secrets
from ..kit.rows import RowsReadOnce, decoded
from ..kit.values import optional_id, phone

TEAM = "team"
"""The stream of an account that names no conversations."""

InboxNumber = Annotated[int, Meta(ge=1, extra_json_schema={"$comment": "an inbox's number, such as 12"})]

Name = Annotated[
    str,
    Meta(
        pattern=rf"^(?!{TEAM}$)(?!(?:[^0-9]*[0-9]){{7}})[a-z0-9][a-z0-9-]{{0,31}}$",
        extra_json_schema={"$comment": f"up to 32 small letters, dashes and at most six digits, other than {TEAM}"},
    ),
]
"""A conversation's name, which becomes part of its stream's id. It may be neither a phone number nor the name of the team's stream."""


class ConversationOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """One conversation: a phone number in an inbox."""

    phone: SecretOption
    inbox: InboxNumber


Inboxes = Annotated[
    tuple[InboxNumber, ...],
    Meta(
        min_length=1,
        description="only messages of these inboxes, by their numbers; what does not say its inbox is published",
        extra_json_schema={"$comment": "list of inboxes' numbers, such as [12, 15]"},
    ),
]
Conversations = Annotated[
    dict[Name, ConversationOptions],
    Meta(
        min_length=1,
        description="only these conversations, each a stream by its name, in place of the team; another number or inbox wants another name",
        extra_json_schema={"$comment": "{NAME: {phone: {env: NAME} or {file: PATH}, inbox: N}, ...}"},
    ),
]


class HeymarketOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The vendor's own keys of an account."""

    inboxes: Inboxes = ()
    conversations: Conversations = {}

    def __post_init__(self) -> None:
        """One restriction at most."""
        if self.inboxes and self.conversations:
            raise ValueError("both inboxes and conversations; expected one of them, because a conversation has its inbox; fix: remove one")

    @property
    def streams(self) -> tuple[str, ...]:
        """The conversations by name, whatever order they are written in; else the team."""
        return tuple(sorted(self.conversations)) or (TEAM,)

    def fill(self, secrets: Secrets) -> dict[str, str]:
        """The conversations' phone numbers as the vendor wants them, E.164 without the plus, by the secrets' names.

        Raises ConfigError, which names all that are none.
        """
        said = {secret_of(name): phone(secrets[secret_of(name)], bare_is_international=True) or "" for name in self.conversations}
        wrong = sorted(name for name, number in said.items() if not number.startswith("+"))
        if wrong:
            expected = "a phone number with its country code, such as 14155551234"
            raise ConfigError([f"no phone number in {' and '.join(wrong)}; expected {expected}; fix: write it so"], about=tuple(wrong))
        return {name: number.removeprefix("+") for name, number in said.items()}

    def only_wanted(self, page: Page) -> Page:
        """The page without the rows of other inboxes, readable or not. A row that does not say its inbox stays."""
        if not self.inboxes:
            return page
        wanted, oddities = {None, *map(str, self.inboxes)}, page.oddities
        inboxes = _inboxes([row.raw for row in page.rows])
        rows = [row for row, inbox in zip(page.rows, inboxes, strict=True) if inbox in wanted]
        if None in inboxes:
            oddities += ("inbox_unknown",)
        return replace(page, rows=rows, left_out=page.left_out + len(page.rows) - len(rows), oddities=oddities)


def secret_of(conversation: str) -> str:
    """The dotted name of a conversation's phone number."""
    return f"conversations.{conversation}.phone"


def _inbox_of(raw: bytes) -> str | None:
    """The inbox that a row says it is of, whatever else of it can be read; None where it says none."""
    value = decoded(raw)
    talk = None if isinstance(value, BadRow) else value.get("conversation")
    return optional_id(talk.get("inbox")) if isinstance(talk, dict) else None


_inboxes = RowsReadOnce(_inbox_of)
