"""What an answer is, whatever its headers call it."""

from __future__ import annotations

import pytest

from poller.errors import Unreachable
from poller.providers.contract import Response
from poller.providers.kit.answers import accept

BODIES = [
    (200, "text/html; charset=utf-8", b"[]", b"[]"),
    (200, "text/html", b" [1]", b" [1]"),
    (200, "text/plain", b"[]", b"[]"),
    (200, "", b"[]", b"[]"),
    (201, "application/problem+json", b"{}", b"{}"),
    (204, "", b"", b"null"),
    (204, "text/html", b"ignored", b"null"),
]


@pytest.mark.parametrize(("status", "kind", "body", "read"), BODIES)
def test_what_an_answer_is_matters_more_than_what_it_is_called(status: int, kind: str, body: bytes, read: bytes) -> None:
    """JSON as a web page's type is JSON, and no content is an empty list."""
    assert accept(Response(status, {"content-type": kind}, body)) == read


@pytest.mark.parametrize("kind", ["text/html", "application/json", ""])
@pytest.mark.parametrize("body", [b"<html>", b" \n<!DOCTYPE html>", b"<?xml version='1.0'?>"])
def test_a_web_page_is_no_answer(kind: str, body: bytes) -> None:
    """Whatever it is called."""
    with pytest.raises(Unreachable, match="web page"):
        accept(Response(200, {"content-type": kind}, body))
