"""The vendors' own Python clients are judges of the simulated vendors: what they page, filter and read is the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import plivo
import plivo.rest.client
import pytest
import telnyx
from plivo.base import ListMessagesResponseObject, _next_page_params
from plivo.resources.messages import Message
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client as Twilio

from poller.demo.simulator.profiles import PLIVO, PROFILES, SUBACCOUNTS, TELNYX, TWILIO
from poller.demo.simulator.server import serving
from poller.demo.simulator.shelf import Sms
from poller.demo.simulator.switches import Switches
from poller.demo.simulator.vendors.answers import SECRETS
from poller.demo.simulator.vendors.routes import Providers
from poller.demo.simulator.world import World
from poller.model import HOUR, SECOND, Instant

NOW: Instant = time.time_ns() // 1000 // SECOND * SECOND
ALL = (TWILIO, TELNYX, PLIVO)
EPOCH = datetime.fromtimestamp(0, UTC)


@contextmanager
def served(switches: Switches) -> Iterator[tuple[World, str]]:
    """A world that stands still, on loopback."""
    world = World(7, NOW - HOUR, switches, backlog=260, backlog_s=20 * 3600.0, providers=ALL)
    world.freeze(NOW)
    ready, stop, found = threading.Event(), threading.Event(), list[str]()

    async def serve() -> None:
        async with serving(Providers(world)) as url:
            found.append(url)
            ready.set()
            while not stop.is_set():
                await anyio.sleep(0.02)

    thread = threading.Thread(target=lambda: anyio.run(serve))
    thread.start()
    try:
        assert ready.wait(20)
        yield world, found[0]
    finally:
        stop.set()
        thread.join(20)


def truth(world: World, provider: str, stream: str) -> dict[str, Sms]:
    """A stream's visible messages by id."""
    return {sms.id: sms for sms in world.shelves[provider, stream] if sms.shown(NOW)}


def instant(at: datetime | None) -> Instant | None:
    """Of a client's time."""
    return None if at is None else (at - EPOCH) // timedelta(microseconds=1)


def when(at: Instant) -> datetime:
    """For a client."""
    return EPOCH + timedelta(microseconds=at)


class Loopback(TwilioHttpClient):
    """The vendor's HTTP client, whose host is the simulated one's."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.pages = url, 0

    def request(self, method: str, url: str, *given: Any, **named: Any) -> Any:
        """The same request to loopback; links have the prefix already."""
        self.pages += 1
        path = url.removeprefix("https://api.twilio.com").removeprefix("/twilio")
        return super().request(method, f"{self.url}/twilio{path}", *given, **named)


def twilio_client(url: str) -> Twilio:
    """With the demo's credentials."""
    return Twilio(SECRETS["twilio-sid"], SECRETS["twilio-token"], http_client=Loopback(url))


def check_twilio(message: Any, sms: Sms) -> None:
    """Every field that the client reads."""
    ours, prefix = PROFILES[TWILIO].ours, "" if sms.channel == "sms" else f"{sms.channel}:"
    assert (message.status, message.body, message.account_sid) == (sms.status(NOW), sms.text_at(NOW), sms.stream)
    assert (message.from_, message.to) == tuple(prefix + str(n) for n in ((sms.other, ours) if sms.inbound else (ours, sms.other)))
    assert instant(message.date_created) == sms.created
    assert instant(message.date_updated) == sms.changed(NOW)
    assert instant(message.date_sent) == (sms.created if sms.inbound else sms.when("sent", NOW))
    assert (message.direction == "inbound") == sms.inbound
    assert (message.num_media, message.num_segments) == (str(sms.media), "1")
    assert (message.error_code is None) == (sms.status(NOW) not in ("failed", "undelivered"))


@pytest.mark.parametrize("unsent", ["first", "last", "hidden"])
def test_the_twilio_client_pages_and_reads_every_message_of_an_account(unsent: Any) -> None:
    """Without a filter nothing is left out, wherever messages without a time of sending are listed, and each reads as it is."""
    with served(Switches(unsent=unsent, channels=0.3, media=0.3, scheduled=0.2, scheduled_s=90_000.0, zoneless=True)) as (world, url):
        client = twilio_client(url)
        for account in SUBACCOUNTS:
            known = truth(world, TWILIO, account)
            messages = list(client.api.v2010.accounts(account).messages.stream(page_size=17))
            assert sorted(message.sid for message in messages) == sorted(known)
            for message in messages:
                check_twilio(message, known[message.sid])
            sent = [message.date_sent for message in messages if message.date_sent is not None]
            assert sent == sorted(sent, reverse=True) or unsent == "hidden"
        assert client.http_client.pages > 2 * len(known) / 17


@pytest.mark.parametrize("granularity", ["second", "day"])
@pytest.mark.parametrize("unsent", ["first", "hidden"])
def test_the_twilio_client_filters_by_the_time_of_sending(granularity: Any, unsent: Any) -> None:
    """Both ends are inclusive; what has no time of sending passes or not as the switch says; a filter by day lets whole days pass."""
    with served(Switches(granularity=granularity, unsent=unsent)) as (world, url):
        since, until = NOW - 9 * HOUR, NOW - 3 * HOUR
        unit = 24 * HOUR if granularity == "day" else SECOND
        account = SUBACCOUNTS[0]
        found = twilio_client(url).messages.list(date_sent_after=when(since), date_sent_before=when(until), page_size=10)
        expected = set()
        for sms in truth(world, TWILIO, account).values():
            sent = sms.created if sms.inbound else sms.when("sent", NOW)
            if unsent == "first" if sent is None else since // unit <= sent // unit <= until // unit:
                expected.add(sms.id)
        assert {message.sid for message in found} == expected != set()


def test_the_twilio_client_fetches_one_message_and_is_told_of_none() -> None:
    """A message by its Sid; a Sid that does not exist and a time older than 400 days are the vendor's own errors."""
    with served(Switches()) as (world, url):
        client, known = twilio_client(url), truth(world, TWILIO, SUBACCOUNTS[0])
        sms = next(iter(known.values()))
        check_twilio(client.messages(sms.id).fetch(), sms)
        with pytest.raises(TwilioException) as missing:
            client.messages(f"SM{0:032x}").fetch()
        assert (missing.value.status, missing.value.code) == (404, 20404)  # type: ignore[attr-defined]
        with pytest.raises(TwilioException):
            client.messages.list(date_sent_after=when(NOW - 401 * 24 * HOUR))


@pytest.mark.parametrize("unfinished", ["null", "hidden"])
def test_the_telnyx_client_pages_filters_and_reads_detail_records(unfinished: Any) -> None:
    """All records by pages; those of a span of creations; none without a record type."""
    with served(Switches(unfinished=unfinished, stuck=0.2)) as (world, url):
        client = telnyx.Telnyx(api_key=SECRETS["telnyx-key"], base_url=f"{url}/telnyx/v2", max_retries=0)
        known = {id_: sms for id_, sms in truth(world, TELNYX, "messaging").items() if unfinished == "null" or sms.status(NOW)}
        since, until = NOW - 9 * HOUR, NOW - 3 * HOUR
        span: Any = {"created_at": {"gte": when(since).isoformat(), "lt": when(until).isoformat()}}
        for more, expected in (({}, set(known)), (span, {id_ for id_, sms in known.items() if since <= sms.created < until})):
            listed = list(client.detail_records.list(filter={"record_type": "messaging", **more}, page_size=13, sort=["-created_at"]))
            assert {record.uuid for record in listed} == expected != set()  # type: ignore[union-attr]
            for record in listed:
                check_telnyx(record, known[record.uuid])  # type: ignore[union-attr, index]
            created = [record.created_at for record in listed]  # type: ignore[union-attr]
            assert created == sorted(created, reverse=True)  # type: ignore[type-var]
        with pytest.raises(telnyx.BadRequestError):
            client.detail_records.list()


def check_telnyx(record: Any, sms: Sms) -> None:
    """Every field that the client reads."""
    ours = PROFILES[TELNYX].ours
    assert (record.status or "", record.direction) == (sms.status(NOW), "inbound" if sms.inbound else "outbound")
    assert (record.cli, record.cld) == ((sms.other, ours) if sms.inbound else (ours, sms.other))
    assert instant(record.created_at) == sms.created // 1000 * 1000
    assert instant(record.updated_at) == sms.changed(NOW) // 1000 * 1000
    assert record.parts == 1


def walked(client: Any) -> Iterator[Any]:
    """By next links, as the vendor's client reads them; its list of messages takes no cursor, which its other lists do."""
    asked: Any = {"limit": 20}
    while isinstance(asked, dict):
        given = {name: value for name, value in asked.items() if value is not None}
        page = client.request("GET", ("Message",), given, response_type=ListMessagesResponseObject, objects_type=Message)
        yield from page
        asked = _next_page_params(page, 20)


@pytest.mark.parametrize("links", ["offset", "cursor"])
def test_the_plivo_client_pages_filters_and_reads_messages(links: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages of the last day by next links of either kind; those of a span; one by its id."""
    with served(Switches(links=links)) as (world, url):
        monkeypatch.setattr(plivo.rest.client, "PLIVO_API_BASE_URI", f"{url}/plivo/v1/Account")
        client = plivo.RestClient(SECRETS["plivo-id"], SECRETS["plivo-token"])
        known = truth(world, PLIVO, "messages")
        listed = list(client.messages if links == "offset" else walked(client))
        assert [message.message_uuid for message in listed] == [sms.id for sms in sorted(known.values(), reverse=True)]
        since, until = NOW - 9 * HOUR, NOW - 6 * HOUR
        span = {"message_time__gte": f"{when(since):%Y-%m-%d %H:%M:%S.%f}", "message_time__lt": f"{when(until):%Y-%m-%d %H:%M:%S.%f}"}
        page = client.messages.list(**span)
        expected = [sms.id for sms in sorted(known.values(), reverse=True) if since <= sms.created < until]
        assert [message.message_uuid for message in page] == expected[:20]
        assert page.meta["total_count"] == len(expected) > 0
        for message in (*listed, client.messages.get(listed[0].message_uuid)):
            check_plivo(message, known[message.message_uuid])


def check_plivo(message: Any, sms: Sms) -> None:
    """The fields that the vendor documents; the client leaves them as they are."""
    ours, other = (PROFILES[PLIVO].ours or "").lstrip("+"), sms.other.lstrip("+")
    assert (message.message_state, message.message_direction) == (sms.status(NOW), "inbound" if sms.inbound else "outbound")
    assert (message.from_number, message.to_number) == ((other, ours) if sms.inbound else (ours, other))
    assert instant(datetime.fromisoformat(message.message_time)) == sms.created
    assert instant(datetime.fromisoformat(message.message_updated_time)) == sms.changed(NOW)
    sent = message.message_sent_time
    assert (sent and instant(datetime.fromisoformat(sent))) == sms.when("sent", NOW)
