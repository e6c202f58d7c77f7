"""What is hidden is hidden everywhere, and what identifies stays."""

from __future__ import annotations

import json

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


def test_redacted_dead_letters_keep_only_their_shape() -> None:
    """No value and no suspicious field name of the row is left."""
    raw = b'{"text":"secret","from":"+14155550123","n":{"14155550123":5},"list":[true,null]}'
    hidden = Privacy(text="mask", original_dead_letters=False).dead_letter(raw)
    assert b"secret" not in hidden
    assert b"1415" not in hidden
    assert json.loads(hidden)["list"] == ["[bool]", None]
    assert Privacy(original_dead_letters=False).dead_letter(b"not json") == b"[8 bytes]"
