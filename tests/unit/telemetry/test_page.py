"""The pages: what is wrong comes first, everything is readable without a script, nothing comes from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from poller.telemetry import page
from poller.telemetry.verdict import verdict
from tests.support.pictures import NOW, PICTURES, TROUBLES, Shown, account, sick, stream, with_gap, worker

VOID = {"meta", "link", "rect", "br"}


class Outline(HTMLParser):
    """Checks that elements are closed in order, and keeps headings, ids and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[int] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        assert tag != "script"
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} {name}"
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.addresses.append(value or "")
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert tag in VOID or self.open.pop() == tag, tag


def pages(name: str) -> list[str]:
    """The status page of a picture, and the pages of its accounts."""
    picture = PICTURES[name]
    shown = Shown(picture)
    found = [page.status_page(picture, refresh=5)]
    for each in picture.accounts[:3]:
        streams = shown.streams(each.key, 0, 50)
        assert streams is not None
        found.append(page.account_page(picture, each, streams, refresh=5))
    return [*found, page.runbook_page(picture)]


@pytest.mark.parametrize("name", PICTURES)
def test_every_page_is_well_formed_and_asks_for_nothing_outside(name: str) -> None:
    """In every trouble: elements closed in order, one first heading, no id twice, no script, no address but our own and data."""
    for text in pages(name):
        outline = Outline(text)
        assert outline.headings.count(1) == 1
        assert len(set(outline.ids)) == len(outline.ids)
        assert all(address.startswith(("/", "?", "#", "data:")) for address in outline.addresses)
        assert not re.findall(r'(?:src|href|action|content)="?https?:', text)
        assert "url(" not in text


@pytest.mark.parametrize("kind", TROUBLES)
@pytest.mark.parametrize("count", [3, 48])
def test_trouble_is_explained_before_the_accounts_and_the_sick_account_is_their_first(kind: str, count: int) -> None:
    """The verdict, then what is wrong with its words, code, since, next try and what to do; a sick account is never below a healthy one."""
    picture = sick(kind, count)
    text = page.status_page(picture, refresh=5)
    order = [text.index(mark) for mark in (verdict(picture).sentence.split(":")[0], "What is wrong", 'id="accounts"', 'id="workers"')]
    assert order == sorted(order)
    wrong = text[order[1] : order[2]]
    assert "for 12 min now" in wrong
    assert "next try in 42 s" in wrong
    assert f'href="/runbook#{kind}"' in wrong
    rows = re.findall(r'<th scope="row"><a href="/accounts/([^"]+)"', text[order[2] : order[3]])
    assert rows[0].endswith(f"account-{count - 1}")
    assert len(rows) == count


def test_gaps_and_backfills_have_sections_of_their_own() -> None:
    """A range that cannot be proved complete is said with its stream and its times; a backfill with its progress."""
    text = page.status_page(with_gap(), refresh=5)
    assert "messages from 2026-09-21 13:13:20Z to 2026-09-21 13:13:21Z cannot be proved complete" in text
    assert re.search(r"66 %", text)
    assert text.index("Possible gaps") < text.index('id="backfills"') < text.index('id="accounts"')


def test_an_accounts_page_says_what_is_owed_waits_and_sleeps() -> None:
    """The edge, the ranges that nobody has looked at, what is due and waits, and the side queries that switched themselves off."""
    text = pages("healthy")[1]
    for said in (
        "The newest messages were looked at 1 s ago.",
        "messages from 2026-09-21 13:13:20Z to 2026-09-21 14:12:20Z.",
        "Due, and waiting for its turn: live for 3 s.",
        "it was refused or found nothing: audit (tried again in 60 min).",
    ):
        assert said in text


def test_accounts_that_are_well_are_sorted_by_lag() -> None:
    """The largest lag first."""
    text = page.status_page(worker(account(0), account(2), account(1)), refresh=5)
    assert re.findall(r'<th scope="row"><a href="/accounts/[^/]+/account-(\d)"', text) == ["2", "1", "0"]


def test_the_ladder_is_drawn_without_holes() -> None:
    """Each rung begins where the one above it ends, from now to the deepest age, inside of the picture."""
    rows = page.ladder_rows(stream("heymarket/a/team"))
    assert [row.name for row in rows] == ["live", "up to 40 min", "up to 3 h", "up to 11 h", "up to 43 h", "up to 7 days"]
    for above, below in zip(rows, rows[1:], strict=False):
        assert above.x + above.width == pytest.approx(below.x, abs=0.2)
    assert rows[-1].x + rows[-1].width == pytest.approx(page.LADDER_LEFT + page.LADDER_WIDTH, abs=0.2)


def test_a_long_page_is_bounded() -> None:
    """A thousand accounts do not give a page of a thousand rows; those in trouble are on it."""
    accounts = [account(number) for number in range(1000)]
    text = page.status_page(worker(*accounts, account(1001, in_trouble={"gone": 1})), refresh=5)
    assert text.count('data-label="lag"') == page.ACCOUNTS_MAX
    assert "account-1001" in text
    assert f"{1001 - page.ACCOUNTS_MAX} more accounts" in text


def test_the_time_of_the_page_is_the_workers() -> None:
    """What is shown as ago is reckoned from the picture's own now."""
    assert "1 min ago" not in page.status_page(worker(account(0, last_success=NOW)), refresh=0)


def test_templates_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that refreshes itself costs its rows, not the reading of its templates: that would hold every stream of the worker."""
    pages(next(iter(PICTURES)))
    monkeypatch.setattr("jinja2.Environment.compile", None)
    pages(next(iter(PICTURES)))


def test_an_account_in_trouble_has_all_its_streams_in_trouble() -> None:
    """A zero beside credentials that are refused would say that all is well."""
    text = re.sub(r"<[^>]+>|\s+", " ", page.status_page(PICTURES["unauthorized-3"], refresh=0))
    assert "streams in trouble" in text
    assert "all 2" in text


def test_what_has_no_beginning_says_nothing_of_it() -> None:
    """A lag has grown, it did not begin."""
    assert "not known" not in page.status_page(PICTURES["lagging"], refresh=0)


def test_the_runbook_is_read_as_prose() -> None:
    """No mark of Markdown is left, and nothing of its text becomes markup."""
    text = page.runbook_page(PICTURES["healthy"])
    assert "**" not in text
    assert "`" not in text
    assert "<strong>Do.</strong>" in text
    assert "<code>poller check --online</code>" in text
    assert page.prose("**A.** `<b>` & c\n\nd") == "<p><strong>A.</strong> <code>&lt;b&gt;</code> &amp; c</p><p>d</p>"
