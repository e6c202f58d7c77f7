"""Small inputs that vendors send: each kind with its variants, and the right value."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from poller.errors import BadPage
from poller.model import DAY, SECOND, BadRow, Message, Observation, Row, Stream
from poller.providers.contract import Page, Provider, Response, View, Window
from poller.providers.fonedynamics.provider import OFF, REFUSED_MAX, FoneDynamics, LookUps
from poller.providers.heymarket.provider import Heymarket
from poller.providers.kit.times import rfc2822
from poller.providers.kit.values import phone
from poller.providers.registry import BUILT_IN, provider_of
from poller.providers.stuut.provider import Stuut
from poller.publishing.fingerprints import Fingerprints
from tests.support.asking import side_query
from tests.support.vendor_rows import body_of, id_name, raw_of, text_name

NOW = 1_790_000_000 * SECOND


def page_of(provider: Provider, *rows: bytes) -> Page:
    """A page of these rows."""
    asked = provider.first_page(Stream(provider.name, "a", "s"), Window(NOW - 60 * SECOND, NOW + 60 * SECOND, NOW), None)
    return provider.read_page(asked, Response(200, {}, body_of(provider.name, *rows)))


def read(provider: Provider, raw: bytes) -> Observation | BadRow:
    """The one row of a page, as it is published."""
    [row] = page_of(provider, raw).rows
    seen = provider.read_row(row) if isinstance(row, Row) else row
    assert isinstance(seen, Observation | BadRow)
    return seen


def message(provider: Provider, members: dict[str, Any]) -> Message:
    """A row that can be read, as a message."""
    seen = read(provider, raw_of(provider.name, {name: json.dumps(value).encode() for name, value in members.items()}))
    assert isinstance(seen, Observation)
    return seen.message


ODD = [b"\xf6", b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\xbd", b"\xc0\x80", b"\xff\xfe", rb"\ud83d", rb"\ude00 \ud83d", b"\xf4\x90\x80\x80"]


@pytest.mark.parametrize("provider", sorted(BUILT_IN))
@pytest.mark.parametrize("odd", ODD)
def test_every_text_is_utf8_or_its_row_is_a_dead_letter(provider: str, odd: bytes) -> None:
    """In the text, in an id, in the name of a member, in free-form members: what is published can be encoded."""
    made, quoted = provider_of(provider), b'"x' + odd + b'"'
    free = b'[{"k' + odd + b'":' + quoted + b"}]"
    rows = [{text_name(provider): quoted}, {id_name(provider): quoted}, {"classifications": free, "custom": free}, {"status": quoted}]
    for members in rows:
        seen = read(made, raw_of(provider, members))
        if isinstance(seen, Observation):
            assert json.loads(msgspec.json.encode(seen.message))["message_id"]
        else:
            assert seen.id is None or seen.id.encode()


SURROGATES = [
    (b"hi \xed\xa0\xbd\xed\xb8\x80", "hi 😀"),
    (b"\xed\xa0\xbc\xed\xb7\xa6\xed\xa0\xbc\xed\xb7\xba", "🇦🇺"),
    (b"\xed\xa0\xb4\xed\xb4\x9e!", "𝄞!"),
    (b"\xed\xaf\xbf\xed\xbf\xbf", "\U0010ffff"),
    (b"\xed\xa0\xbd\xed\xb8\x80 \\ud83d\\ude00 \xf0\x9f\x98\x80", "😀 😀 😀"),
    (b"\xed\xa0\xbd", "\ufffd"),
    (b"x\xed\xb8\x80y", "x\ufffdy"),
    (b"\xed\xb8\x80\xed\xa0\xbd", "\ufffd"),
]
"""A text in CESU-8, whole and cut, and what is meant by it."""


@pytest.mark.parametrize(("sent", "meant"), SURROGATES)
@pytest.mark.parametrize("provider", ["stuut", "heymarket", "twilio"])
def test_an_emoji_as_two_three_byte_surrogates_is_the_emoji(provider: str, sent: bytes, meant: str) -> None:
    """CESU-8 is read as it was meant; what is half an emoji is a replacement character, however many."""
    seen = read(provider_of(provider), raw_of(provider, {text_name(provider): b'"' + sent + b'"'}))
    assert isinstance(seen, Observation)
    assert seen.message.text is not None
    assert re.sub("\ufffd+", "\ufffd", seen.message.text) == meant


ZEROS = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00",
    "1970-01-01T00:00:00Z",
    "1970-01-01T10:00:00+10:00",
    "1899-12-30T00:00:00Z",
    "",
    "0000-00-00 00:00:00",
]


@pytest.mark.parametrize("zero", ZEROS)
def test_a_zero_date_is_no_date(zero: str) -> None:
    """Year 1, epoch 0 in any zone, the null of other programs: absent, wherever it stands."""
    seen = message(Heymarket(), {"date": zero, "created_at": "2026-09-21T14:12:50Z", "updated": zero})
    assert (seen.created_at, seen.updated_at) == ("2026-09-21T14:12:50Z", None)
    other = message(Stuut(), {"modified_at": zero, "sent_at": zero, "delivered_at": zero})
    assert (other.updated_at, other.sent_at, other.delivered_at) == (None, None, None)
    bad = read(Stuut(), raw_of("stuut", {"created_at": json.dumps(zero).encode()}))
    assert isinstance(bad, BadRow)


@pytest.mark.parametrize("zero", [0, -62135596800, 3600, "0", None])
def test_a_zero_epoch_is_no_stamp(zero: object) -> None:
    """0, year 1 in seconds, and 0 in another zone."""
    seen = message(FoneDynamics(), {"Scheduled": zero, "Delivered": zero, "Status": "Submitted"})
    assert (seen.scheduled_at, seen.delivered_at) == (None, None)


@pytest.mark.parametrize(
    ("given", "published"),
    [
        ("0416240112", "0416240112"),
        ("0044 7911 123456", "00447911123456"),
        ("(02) 9374-4000", "0293744000"),
        ("tel:0416240112", "0416240112"),
        ("61416240112", "+61416240112"),
        ("+61416240112", "+61416240112"),
        ("1 (415) 555-0123", "+14155550123"),
        ("88777", "88777"),
    ],
)
def test_no_country_code_begins_with_zero(given: str, published: str) -> None:
    """A national number stays what it is; only what can be E.164 gets its plus."""
    assert phone(given, bare_is_international=True) == published


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"conversation": 9920}, "9920"),
        ({"conversation": "c-1"}, "c-1"),
        ({"conversation_id": 7}, "7"),
        ({"conversation": {"id": 5}, "conversation_id": 7}, "5"),
        ({"conversation": {}, "conversation_id": "7"}, "7"),
        ({"conversation": 0}, None),
        ({"conversation": None}, None),
    ],
)
def test_a_conversation_in_any_shape(members: dict[str, Any], expected: str | None) -> None:
    """An object, a bare id, or a member of its own."""
    assert message(Heymarket(), members).conversation_id == expected


@pytest.mark.parametrize(
    ("user", "id_"), [(7, "7"), ({"id": 7}, "7"), ({"id": "u1", "name": "A"}, "u1"), ({}, None), (0, None), ({"id": 0}, None)]
)
def test_a_user_in_any_shape(user: object, id_: str | None) -> None:
    """A user who sent the message tells the direction, too."""
    seen = message(Heymarket(), {"user": user, "label": "vip"})
    data = seen.provider_data or {}
    assert (data.get("user"), data.get("label")) == (id_, "vip")
    assert seen.direction == ("outbound" if id_ else "unknown")


@pytest.mark.parametrize(
    ("status", "published"),
    [
        ("sent", "received"),
        ("delivered", "received"),
        ("failed", "failed"),
        ("undelivered", "undelivered"),
        ("draft", "draft"),
        ("pending", "queued"),
        ("odd", "unknown"),
    ],
)
def test_an_inbound_status_keeps_its_meaning(status: str, published: str) -> None:
    """Only what arrived was received."""
    assert message(Stuut(), {"direction": "inbound", "status": status}).status == published


def test_rows_of_another_property_are_noticed() -> None:
    """They are published, and said once."""
    rows = ({"PropertySid": b'"s"'}, {"propertysid": b'"PR9"', "MessageSid": b'"2"'})
    mine, other = (raw_of("fonedynamics", members) for members in rows)
    assert "other_property" not in page_of(FoneDynamics(), mine).oddities
    page = page_of(FoneDynamics(), mine, other)
    assert "other_property" in page.oddities
    assert len(page.rows) == 2


@pytest.mark.parametrize("body", [b"{}", b"", b"<html>"], ids=["an object", "nothing", "a page"])
@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_look_ups_that_are_always_refused_are_switched_off_for_a_day(status: int, body: bytes) -> None:
    """The call is not there: its share of the rate limit goes back; one that is answered counts them anew."""
    query, known, said, asked = side_query(FoneDynamics(), "lookup"), None, list[str](), 0
    view = View(NOW, 0, DAY, DAY, message_id="M1")
    while (request := query.begin(Stream("fonedynamics", "a", "s"), msgspec.structs.replace(view, remembered=known))) is not None:
        page = query.read(request, Response(status, {}, body))
        known, asked, said = page.learned, asked + 1, [*said, *page.oddities]
    assert (asked, said) == (REFUSED_MAX, ["lookups_switched_off"])
    later = msgspec.structs.replace(view, now=NOW + OFF, remembered=known)
    request = query.begin(Stream("fonedynamics", "a", "s"), later)
    assert request is not None
    assert query.read(request, Response(200, {}, raw_of("fonedynamics"))).learned == LookUps()


@pytest.mark.parametrize("body", [b"{}", b'{"Messages": []}', b'{"ResponseStatus": {}}', b"[]"])
def test_a_look_up_without_a_message_is_no_row(body: bytes) -> None:
    """It is an answer of a wrong shape, and nothing of it is published."""
    query = side_query(FoneDynamics(), "lookup")
    request = query.begin(Stream("fonedynamics", "a", "s"), View(NOW, 0, DAY, DAY, message_id="M1"))
    assert request is not None
    with pytest.raises(BadPage):
        query.read(request, Response(200, {}, body))


def _classified(*labels: str) -> dict[str, Any]:
    return {"classifications": [{"id": label, "agent_metrics": {"uncertainties": [label, "x", "y"]}} for label in labels]}


UNORDERED: list[tuple[Any, Any, Any]] = [
    (["a", "b", "c"], ["c", "a", "b"], ["a", "b"]),
    ([1, "1", None, True], [True, None, "1", 1], [1, 1, None, True]),
    (
        [{"id": 1, "of": [1, 2]}, {"id": 2, "of": []}],
        [{"of": [], "id": 2}, {"of": [2, 1], "id": 1}],
        [{"id": 1, "of": []}, {"id": 2, "of": [1, 2]}],
    ),
    ([["x"], [], {}], [{}, ["x"], []], [["x"], [], []]),
    ([1.0, 2.5, -1], [-1, 1.0, 2.5], [1.0, 2.5, 1]),
    ([{"by": {"agent": [{"n": "b"}, {"n": "a"}]}}], [{"by": {"agent": [{"n": "a"}, {"n": "b"}]}}], [{"by": {"agent": [{"n": "a"}]}}]),
    (["ä", "😀", " "], [" ", "😀", "ä"], ["ä", "😀", "a"]),
]
"""What a vendor lists, the same in another order, and something else."""


@pytest.mark.parametrize(("listed", "again", "other"), UNORDERED)
def test_whatever_a_list_holds_its_order_is_no_change(listed: Any, again: Any, other: Any) -> None:
    """At any depth, of anything; one that came, went or is another is a change."""
    prints = Fingerprints(b"k" * 32)
    one, two, three = (prints(message(Stuut(), {"classifications": value})) for value in (listed, again, other))
    assert one == two
    assert one != three


def test_lists_without_order_are_compared_as_sets() -> None:
    """Classifications, and what they hold, in any order are the same; another content is not."""
    prints = Fingerprints(b"k" * 32)
    one, two = message(Stuut(), _classified("a", "b")), message(Stuut(), _classified("b", "a"))
    two.provider_data["classifications"][0]["agent_metrics"]["uncertainties"].reverse()  # pyright: ignore[reportOptionalSubscript]
    assert prints(one) == prints(two)
    assert prints(one) != prints(message(Stuut(), _classified("a")))
    assert prints(one) != prints(message(Stuut(), _classified("a", "c")))


@pytest.mark.parametrize(
    "signed",
    [
        "?sig=2",
        "?X-Amz-Date=1&X-Amz-Signature=abc",
        "?",
        "#x",
        "?a#b",
        "?se=2026-11-27&sig=%2B%2F",
        "?Expires=1&Key-Pair-Id=K",
        "?u=https://other.test/?a",
    ],
)
def test_a_signature_in_a_media_url_is_no_change(signed: str) -> None:
    """The query of a URL is published, and not compared; another path is another medium."""
    prints = Fingerprints(b"k" * 32)
    one, two = (message(Heymarket(), {"media": "https://m.test/a.png" + end}) for end in ("?sig=1", signed))
    assert prints(one) == prints(two)
    assert two.media == [{"url": "https://m.test/a.png" + signed}]
    assert prints(one) != prints(message(Heymarket(), {"media": "https://m.test/b.png?sig=1"}))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Thu, 30 Jul 2015 20:12:31 +0000", "2015-07-30T20:12:31Z"),
        ("Thu, 30 Jul 2015 20:12:31 -0000", "2015-07-30T20:12:31Z"),
        ("30 Jul 2015 22:12:31 +0200", "2015-07-30T20:12:31Z"),
        ("Thu, 30 Jul 2015 20:12:31 GMT", "2015-07-30T20:12:31Z"),
        ("Thu, 30 Jul 2015 20:12:31", "2015-07-30T20:12:31Z"),
        ("Thu, 01 Jan 1970 00:00:00 +0000", None),
        ("soon", None),
        (5, None),
    ],
)
def test_mail_dates(text: object, canonical: str | None) -> None:
    """RFC 2822, with and without a zone; UTC whatever zone the host keeps."""
    found = rfc2822(text)
    assert (found and found.text) == canonical


ODD_DATES = [
    "Fri, 31 Dec 9999 23:59:59 +0000",
    "Sat, 01 Jan 2000 00:00:00 +0000",
    "Mon, 14 Sep 2026 14:00:00 +0000",
    "Tue, 22 Dec 2026 00:00:00 +0000",
]


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("odd", ["Fri, 31 Dec 9999 23:59:59 +0000", "Tue, 22 Dec 2026 00:00:00 +0000", "Thu, 21 Sep 2034 14:00:00 +0000"])
def test_rows_that_say_they_were_sent_in_days_to_come_are_no_word_of_the_filter(odd: str, rows: int) -> None:
    """Also where a page lists nothing else: nobody sent them yet, so their dates are wrong, not the filter."""
    twilio, made = provider_of("twilio"), "Mon, 21 Sep 2026 14:00:00 +0000"
    listed = [json.dumps({"sid": f"SM{n}", "date_sent": odd, "date_created": made, "body": "hi"}).encode() for n in range(rows)]
    asked = twilio.first_page(Stream("twilio", "a", "s"), Window(NOW - DAY, NOW, NOW), None)
    assert len(twilio.read_page(asked, Response(200, {}, body_of("twilio", *listed))).rows) == rows


@pytest.mark.parametrize("odd", ODD_DATES)
@pytest.mark.parametrize("places", [(0,), (14,), (29,), (28, 29), (0, 29)])
@pytest.mark.parametrize("until", [None, NOW])
def test_odd_dates_of_one_or_two_rows_move_no_walk(odd: str, places: tuple[int, ...], until: int | None) -> None:
    """Far ahead or years ago, first, between or last on a page: the next page is followed, not jumped over, nor is the filter called ignored."""
    twilio, listed = provider_of("twilio"), []
    for number in range(30):
        sent = odd if number in places else f"Mon, 21 Sep 2026 14:{12 - number // 5:02d}:{59 - number:02d} +0000"
        members = {"sid": f"SM{number}", "date_sent": sent, "date_created": "Mon, 21 Sep 2026 14:00:00 +0000", "body": "hi"}
        listed.append(json.dumps(members).encode())
    around = {"next_page_uri": b'"/2010-04-01/Accounts/s/Messages.json?Page=1&PageToken=x"'}
    asked = twilio.first_page(Stream("twilio", "a", "s"), Window(NOW - DAY, until, NOW), None)
    page = twilio.read_page(asked, Response(200, {}, body_of("twilio", *listed, around=around)))
    assert len(page.rows) == 30
    assert page.next is not None
    assert page.next.link is not None
