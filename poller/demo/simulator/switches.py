"""How the simulated providers misbehave: every ambiguity of their documents and every unkindness, one switch each.

Parts are of rows or requests, between 0 and 1; times are seconds.
"""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ...model import SECOND, Instant

Part = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Mean = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True)
class Switches:
    """The defaults are well-behaved but not perfect: some rows are late, statuses come later."""

    late: Part = 0.15
    """The part of rows that become visible only some time after their creation (Heymarket, Fone Dynamics)."""
    late_s: Mean = 3.0
    """Mean of that time; exponential."""
    very_late: Part = 0.0
    """The part that is late by anything up to ``very_late_s``."""
    very_late_s: Seconds = 60.0
    imports: Part = 0.0
    """Old-dated rows that turn up today, dozens at once: chance a message that it is followed by an import (Heymarket)."""
    import_age_s: Seconds = 3600.0
    misdated: Part = 0.0
    """The part of rows that print another date than the one they are listed and counted by, mostly an older one, by up to ``import_age_s`` (Heymarket D)."""
    vanish: Part = 0.0
    """The part of rows that vanish from lists and counts for a while, and return."""
    vanish_s: Mean = 600.0
    holes: Part = 0.0
    """The part of rows that are counted and never listed (Heymarket); the recount tells of them after hours, which a demo does not last."""
    status_s: Mean = 3.0
    """Mean time between two statuses."""
    stuck: Part = 0.0
    """The part of sent messages that never become final."""
    sticky: Part = 0.0
    """The part of messages whose status changes without ``updated`` or ``modified_at`` moving."""
    classify_later: Part = 0.3
    """The part of Stuut messages that get a classification later, about when its status changes, without ``modified_at`` moving (Stuut c)."""
    edits: Part = 0.0
    """The part of messages whose text becomes another later (Twilio: none, which is a redaction; Twilio G), about when its status changes, without any stamp moving."""
    restyled: Part = 0.0
    """The part of requests whose rows say the same in another way: nothing in place of null, zero and empty, ids as texts, unknown fields."""
    regress: Part = 0.0
    """The part of requests that a replica answers whose statuses are ``regress_s`` behind."""
    regress_s: Seconds = 300.0
    scheduled: Part = 0.0
    """The part of Fone Dynamics' and Twilio's sent messages that are scheduled ahead."""
    scheduled_s: Seconds = 60.0
    """How far ahead they are scheduled at most."""
    drafts: Part = 0.0
    """The part of Stuut's sent messages that are drafts at first, some of them for good."""
    others: Part = 0.0
    """The part of Heymarket's rows that are no messages: private comments, e-mails, and rows that cannot be read."""
    sparse: bool = False
    """Heymarket's rows have no type and no conversation, and a target in place of a phone (Heymarket F, G)."""
    zoneless: bool = False
    """Dates are printed without a zone (Stuut, Heymarket), and with the zone -0000 (Twilio K)."""
    texts: bool = False
    """Fone Dynamics prints its times as texts (Fone Dynamics G)."""
    ties: Part = 0.1
    """The part of messages that come in groups with one timestamp (Heymarket B, Fone Dynamics F)."""
    tie_rows: Annotated[int, Meta(ge=2)] = 5
    """The largest group."""
    crowd_seconds: Annotated[int, Meta(ge=1)] = 1
    """In how many consecutive seconds a group with one timestamp comes again."""
    broadcasts: Part = 0.0
    """The chance that a Heymarket message is followed by a broadcast: queued, listed and counted by one moment, printed with the dates of its sending."""
    broadcast_rows: Annotated[int, Meta(ge=1)] = 300
    broadcast_per_s: Mean = 10.0
    """Rows of a broadcast that are sent in a second; each is listed from its sending on."""
    between: Part = 0.0
    """The chance that a row arrives between two requests."""
    limit_max: Annotated[int, Meta(ge=1)] = 100
    """Every vendor's silent cap of a page, but Stuut's."""
    printed: Literal["seconds", "milliseconds", "microseconds"] = "milliseconds"
    """The precision of Heymarket's printed dates: seconds, milliseconds, microseconds (that are stored; Heymarket B)."""
    cursor: Literal["exclusive", "inclusive", "ignored", "after"] = "exclusive"
    """Heymarket's cursor: exclusive, inclusive, ignored, after (Heymarket A)."""
    cursor_required: bool = False
    """Heymarket answers 400 where no cursor is given (Heymarket A)."""
    timestamp: Literal["seconds", "milliseconds"] = "seconds"
    """What Heymarket reads the timestamps of conversations in (Heymarket I)."""
    order: Literal["ascending", "descending", "random", "shuffled"] = "descending"
    """The order of lists that document none: ascending, descending, random, or shuffled for each request (Stuut b, Heymarket M, Fone Dynamics C)."""
    filter: Literal["created", "scheduled", "received"] = "created"
    """Which stamp Fone Dynamics' dates test: created, scheduled, received (Fone Dynamics B)."""
    unsent: Literal["first", "last", "hidden"] = "first"
    """Where Twilio lists messages without ``date_sent``, which filters on it then let pass; or its filters hide them (Twilio A)."""
    granularity: Literal["second", "day"] = "second"
    """What Twilio's filters are cut off to (Twilio B)."""
    price_s: Mean = 5.0
    """Mean time from Twilio's last status to the price, for which no stamp moves (Twilio C)."""
    forgotten: Part = 0.0
    """The part of Twilio's and Plivo's next links that are refused later, as if the row that they name were deleted (Twilio E)."""
    empty_pages: Part = 0.0
    """The part of Twilio's pages that are empty and have a next link (Twilio E)."""
    foreign_links: Part = 0.0
    """The part of Twilio's and Plivo's next links that lead to another host or another path (Twilio F)."""
    channels: Part = 0.0
    """The part of Twilio's messages whose addresses are WhatsApp's."""
    media: Part = 0.0
    """The part of Twilio's messages that carry files (Twilio J)."""
    unfinished: Literal["null", "hidden"] = "null"
    """Telnyx lists records that have no final status yet without one, or not at all (Telnyx B)."""
    shouted: bool = False
    """Telnyx's words of statuses are upper case (Telnyx C)."""
    links: Literal["offset", "cursor"] = "offset"
    """What Plivo's next links hold (Plivo A)."""
    limited: Part = 0.0
    """The part of requests answered with 429, and no word of how long to wait."""
    limited_told: Part = 0.0
    """With 429 and Retry-After."""
    allowed_per_min: Annotated[int, Meta(ge=0)] = 0
    """More requests to one provider within a minute are answered with 429; 0 = as many as are asked."""
    latency_s: Seconds = 0.0
    """How long each answer takes at least."""
    errors: Part = 0.0
    """With 500."""
    hangs: Part = 0.0
    """Not at all."""
    resets: Part = 0.0
    """With a connection that breaks."""
    cut: Part = 0.0
    """With JSON that ends in the middle, and 200."""
    web_pages: Part = 0.0
    """With a web page, and 200."""
    skew_s: float = 0.0
    """The providers' clock minus ours."""
    jump_s: float = 0.0
    """By how much the clock jumps, once."""
    jump_at_s: Seconds = 0.0
    """How long after the start the clock jumps."""
    count_as_string: bool = True
    """Heymarket's count is a JSON string (Heymarket J)."""
    count_lag_s: Seconds = 0.0
    """Counts are behind lists by up to this."""
    envelope: bool = False
    """Lists come in their other shape: Stuut and Heymarket wrap theirs, Fone Dynamics' is bare (Stuut a, Heymarket J, Fone Dynamics E)."""
    nulls: bool = False
    """Empty lists are null (Heymarket J, Fone Dynamics E)."""
    cap: Annotated[int, Meta(ge=0)] = 0
    """How many of the newest rows Stuut lists, silently; 0 = all. What is dropped is told, and missing in a demo."""

    @property
    def unit(self) -> Instant:
        """In microseconds, what Heymarket's printed dates are cut off to."""
        return {"seconds": SECOND, "milliseconds": SECOND // 1000, "microseconds": 1}[self.printed]

    def clock(self, now: Instant, start: Instant) -> Instant:
        """The providers' clock at our time ``now``."""
        jumped = self.jump_s if self.jump_s and now >= start + round(self.jump_at_s * SECOND) else 0.0
        return now + round((self.skew_s + jumped) * SECOND)


FAULTS = ("limited", "limited_told", "errors", "hangs", "resets", "cut", "web_pages")
"""What may be answered instead of an answer."""

HOSTILE = Switches(
    late=0.3,
    late_s=5.0,
    very_late=0.02,
    very_late_s=20.0,
    vanish=0.02,
    vanish_s=5.0,
    sticky=0.3,
    regress=0.05,
    regress_s=10.0,
    scheduled=0.1,
    scheduled_s=8.0,
    ties=0.3,
    between=0.05,
    limit_max=30,
    printed="seconds",
    cursor="inclusive",
    timestamp="milliseconds",
    order="shuffled",
    filter="scheduled",
    **dict.fromkeys(FAULTS, 0.012),
    skew_s=-40.0,
    count_lag_s=5.0,
    envelope=True,
    nulls=True,
    drafts=0.1,
    others=0.03,
    edits=0.05,
    restyled=0.2,
    sparse=True,
    zoneless=True,
    texts=True,
    cursor_required=True,
    unsent="hidden",
    granularity="day",
    forgotten=0.05,
    empty_pages=0.05,
    foreign_links=0.01,
    channels=0.3,
    media=0.1,
    unfinished="null",
    shouted=True,
    links="cursor",
)
"""What ``poller demo --hostile`` throws: most of the misbehaviours at once, each at a rate that a minute shows."""


def _sometimes(rng: random.Random, value: float, chance: float = 0.4) -> float:
    return value if rng.random() < chance else 0.0


def wild(rng: random.Random, *, depth_s: float, hours: float) -> Switches:
    """Every switch at random, most of them off; times in proportion to a look-back of ``depth_s``."""
    sometimes = partial(_sometimes, rng)
    crowd, trouble = rng.choice((5, 5, 5, 40, 150)), rng.choice((0.0, 0.0, 0.02, 0.06))
    found = Switches(
        late=sometimes(0.3, 0.7),
        late_s=rng.choice((5.0, 60.0, 600.0)),
        very_late=sometimes(0.03),
        very_late_s=0.9 * depth_s,
        imports=sometimes(0.002),
        import_age_s=0.9 * depth_s,
        vanish=sometimes(0.02),
        vanish_s=rng.choice((60.0, 600.0, 3600.0)),
        holes=sometimes(0.005, 0.2),
        status_s=rng.choice((20.0, 300.0, 0.1 * depth_s)),
        stuck=rng.choice((0.0, 0.01, 0.2)),
        sticky=sometimes(0.3),
        classify_later=sometimes(0.3),
        regress=sometimes(0.1),
        regress_s=rng.choice((60.0, 600.0)),
        scheduled=sometimes(0.1),
        scheduled_s=rng.choice((0.05 * depth_s, depth_s)),
        ties=sometimes(0.2 if crowd < 100 else 0.005),
        tie_rows=crowd,
        between=sometimes(0.01),
        limit_max=rng.choice((30, 100, 200)),
        printed=rng.choice(("seconds", "milliseconds", "microseconds")),
        cursor=rng.choices(("exclusive", "inclusive", "ignored", "after"), (10, 10, 1, 1))[0],
        order=rng.choice(("ascending", "descending", "random", "shuffled")),
        filter=rng.choice(("created", "scheduled", "received")),
        skew_s=rng.choice((0.0, 0.0, -300.0, 300.0, 45.0)),
        jump_s=sometimes(rng.choice((-240.0, 240.0)), 0.2),
        jump_at_s=rng.uniform(0.1, 0.9) * hours * 3600,
        count_as_string=rng.random() < 0.5,
        count_lag_s=sometimes(rng.choice((60.0, 2400.0))),
        envelope=rng.random() < 0.5,
        cap=50 if rng.random() < 0.05 else 0,
        misdated=sometimes(0.02, 0.2),
        drafts=sometimes(0.1),
        others=sometimes(0.05),
        sparse=rng.random() < 0.3,
        zoneless=rng.random() < 0.3,
        texts=rng.random() < 0.3,
        cursor_required=rng.random() < 0.3,
        nulls=rng.random() < 0.5,
        edits=sometimes(0.05),
        restyled=sometimes(0.3),
    )
    found = _linked(rng, replace(found, **{fault: sometimes(trouble) for fault in FAULTS}))
    return _loaded(random.Random(repr(found)), found)


def _loaded(rng: random.Random, switches: Switches) -> Switches:
    """In half of the histories more than pages and limits hold: crowds second after second, broadcasts, slow answers, few requests."""
    if rng.random() < 0.5:
        return switches
    sometimes, rows = partial(_sometimes, rng), rng.choice((40, 300, 1000))
    return replace(
        switches,
        crowd_seconds=rng.choice((1, 3, 5)) if switches.tie_rows != 40 else 1,  # forties second after second would be all that there is
        broadcasts=sometimes(0.7 / rows),
        broadcast_rows=rows,
        broadcast_per_s=rng.choice((0.5, 10.0, 50.0)),
        limit_max=rng.choice((30, 50, 100, 200, 1000)),
        latency_s=sometimes(rng.choice((0.4, 2.0))),
        allowed_per_min=round(sometimes(rng.choice((60, 120, 400)))),
        timestamp=rng.choice(("seconds", "milliseconds")),
    )


def _linked(rng: random.Random, switches: Switches) -> Switches:
    """The switches of Twilio, Telnyx and Plivo at random as well."""
    sometimes = partial(_sometimes, rng)
    return replace(
        switches,
        unsent=rng.choice(("first", "last", "hidden")),
        granularity=rng.choice(("second", "day")),
        price_s=rng.choice((20.0, 3600.0)),
        forgotten=sometimes(0.05),
        empty_pages=sometimes(0.05),
        foreign_links=sometimes(0.02, 0.2),
        channels=sometimes(0.3),
        media=sometimes(0.1),
        unfinished=rng.choice(("null", "hidden")),
        shouted=rng.random() < 0.3,
        links=rng.choice(("offset", "cursor")),
    )


def chosen(base: Switches, given: Iterable[str]) -> Switches:
    """The switches with some of them set as ``NAME=VALUE``. Raises ValueError, which names the nearest one."""
    known = [each.name for each in fields(Switches)]
    wanted: dict[str, object] = asdict(base)
    for name, _, value in (each.partition("=") for each in given):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ValueError(f"no switch is called {name!r}; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"))
        wanted[name] = value
    try:
        return msgspec.convert(wanted, Switches, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def named(switches: Switches) -> list[str]:
    """The switches that differ from good behaviour, as names for a table; words and numbers with their values."""
    good = replace(Switches(), late=0.0, classify_later=0.0, ties=0.0)
    found = []
    for each in fields(Switches):
        value = getattr(switches, each.name)
        if value != getattr(good, each.name) and not each.name.endswith("_s") and each.name not in ("tie_rows", "count_as_string"):
            found.append(each.name if isinstance(value, float | bool) or each.name == "cap" else f"{each.name}={value}")
    return found + [name.removesuffix("_s") for name in ("skew_s", "jump_s", "count_lag_s") if getattr(switches, name)]
