"""``python -m poller``."""

from .cli import main

main()
