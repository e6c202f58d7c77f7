"""The package's own proof: the exam that poller ships, with this vendor's case files."""

from pathlib import Path

from poller.providers import exam


def test_pigeonpost() -> None:
    """What is asked, what comes back, what must come of it."""
    exam.examine("pigeonpost", cases=Path(__file__).parent / "cases")
