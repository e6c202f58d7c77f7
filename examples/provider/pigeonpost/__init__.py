"""Pigeonpost for poller: ``message`` reads a row, ``provider`` asks for lists."""
