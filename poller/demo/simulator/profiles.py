"""What is invented of each simulated vendor: its streams, the lives of its messages, and the words of its statuses."""

from __future__ import annotations

from typing import NamedTuple

from ...model import SECOND, Instant

STUUT, HEYMARKET, FONE, TWILIO, TELNYX, PLIVO = "stuut", "heymarket", "fonedynamics", "twilio", "telnyx", "plivo"
"""Providers as accounts name them."""

THREADS = ("thr_1", "thr_2", "thr_3")
"""Stuut threads of the simulated world."""

PROPERTIES = ("PR1", "PR2")
"""Fone Dynamics properties of the simulated world."""

SUBACCOUNTS = tuple(f"AC{number:032x}" for number in (1, 2))
"""The account whose token is used, and one of its subaccounts."""
WORDS = ("Your parcel is on its way", "Thanks!", "See you at ten", "Invoice attached", "Please call back", "Yes", "STOP")
"""Invented texts; a number is put behind each."""

Life = tuple[str, ...]


class Profile(NamedTuple):
    """One vendor. Statuses are its own words; instants and durations are microseconds."""

    streams: tuple[str, ...]
    lives: tuple[Life, Life, Life]
    """Of what is sent, in eleven messages eight, two and one."""
    received: str
    """The word for what came in."""
    ours: str | None
    """The company's own number, where rows print it."""
    id: str
    """A message's id, made of its number."""
    unit: Instant = 1
    """What times of creation and of statuses are whole multiples of."""
    delayed: bool = True
    """Whether rows may be listed later than they are created, in groups with one timestamp."""
    scheduled: str | None = None
    """The status of a message that waits to be sent; None = that of any other."""


PROFILES = {
    STUUT: Profile(
        THREADS,
        (("pending", "sent", "delivered"), ("pending", "sent", "undelivered"), ("pending", "failed")),
        "delivered",
        "+14155550100",
        "sms_{:08d}",
        delayed=False,
    ),
    HEYMARKET: Profile(
        ("team",),
        (("pending", "sent", "delivered"), ("pending", "sent", "delivered", "seen"), ("pending", "failed")),
        "received",
        None,
        "9{:06d}",
    ),
    FONE: Profile(
        PROPERTIES,
        (("Processing", "Submitted", "Delivered"), ("Processing", "Submitted"), ("Processing", "Failed")),
        "Received",
        "+61400000001",
        "M{:031d}",
        SECOND,
    ),
    TWILIO: Profile(
        SUBACCOUNTS,
        (("queued", "sent", "delivered"), ("accepted", "queued", "sent", "undelivered"), ("queued", "failed")),
        "received",
        "+14155550111",
        "SM{:032x}",
        SECOND,
        scheduled="scheduled",
    ),
    TELNYX: Profile(
        ("messaging",),
        (("", "delivered"), ("", "dlr_timeout", "delivered"), ("", "gw_reject")),
        "received",
        "+14155550122",
        "7e1a0000-0000-4000-8000-{:012x}",
        SECOND // 1000,
    ),
    PLIVO: Profile(
        ("messages",),
        (("queued", "sent", "delivered"), ("queued", "sent", "undelivered"), ("queued", "rejected")),
        "received",
        "+14155550133",
        "b71f0000-0000-4000-8000-{:012x}",
        SECOND,
    ),
}
"""How each simulated vendor differs from the others."""

EVERY_PROVIDER = tuple(PROFILES)
"""The six vendors, in the order of their profiles."""

FIRST_THREE = (STUUT, HEYMARKET, FONE)
"""The vendors of histories whose seeds are older than the others."""
