"""What is hidden is hidden everywhere, and what identifies stays."""

from __future__ import annotations

import json
from itertools import product

import pytest

from poller.model import Problem
from poller.publishing.privacy import Privacy
from tests.support.sample_event import created, published


def test_privacy_masks_hashes_and_drops() -> None:
    """Numbers and texts are hidden everywhere they occur, ids and statuses stay."""
    masked = published(created(), Privacy(numbers="mask", text="mask"))[1]
    assert isinstance(masked, dict)
    assert (masked["from"], masked["to"], masked["text"]) == ("…00", ["…23"], "[2 characters]")
    assert masked["provider_data"] == {"a": ["[1 characters]", "[1 characters]"]}
    assert masked["error"] == {"code": "1", "message": "[5 characters]"}
    dropped = published(created(), Privacy(numbers="drop", text="drop"))[1]
    assert isinstance(dropped, dict)
    assert {"from", "to", "text", "provider_data"}.isdisjoint(dropped)
    hashed = published(created(), Privacy(numbers="hash", text="plain", key=b"key"))[1]
    assert isinstance(hashed, dict)
    assert hashed["from"].startswith("hmac-sha256:")
    assert len(hashed["from"]) == len("hmac-sha256:") + 32
    assert hashed["text"] == "hi"


@pytest.mark.parametrize("code", ["to +14155550199 failed", "14155550199", "+14155550199", "4155550199:30003", "x" * 65, "Jane Doe"])
def test_what_stands_for_a_code_of_an_error_and_is_none_is_hidden(code: str) -> None:
    """A vendor's free text in the place of a code: no mode that hides numbers or texts publishes it."""
    for numbers, text in product(("plain", "mask", "hash", "drop"), repeat=2):
        found = Privacy(numbers=numbers, text=text, key=b"key").problem(Problem(code=code))  # type: ignore[arg-type]
        shown = "" if found is None else found.code or ""
        assert (code in shown) == (numbers == text == "plain"), (numbers, text)


@pytest.mark.parametrize("code", ["30003", "1", "E_TIMEOUT", "0", "smpp:12.3"])
def test_a_code_of_an_error_is_published_in_every_mode(code: str) -> None:
    """It says what went wrong, and of nobody."""
    for mode in ("mask", "hash", "drop"):
        found = Privacy(numbers=mode, text=mode, key=b"key").problem(Problem(code=code, message="words"))  # type: ignore[arg-type]
        assert found is not None
        assert found.code == code
        assert found.message != "words"


def test_redacted_dead_letters_keep_only_their_shape() -> None:
    """No value and no suspicious field name of the row is left."""
    raw = b'{"text":"secret","from":"+14155550123","n":{"14155550123":5},"list":[true,null]}'
    hidden = Privacy(text="mask", original_dead_letters=False).dead_letter(raw)
    assert b"secret" not in hidden
    assert b"1415" not in hidden
    assert json.loads(hidden)["list"] == ["[bool]", None]
    assert Privacy(original_dead_letters=False).dead_letter(b"not json") == b"[8 bytes]"
