"""Plivo: an account's messages in pages of twenty. README.md has the sources and ambiguities.

Files::

    provider        the contract: one stream, pages by offsets or cursors, look-ups
    message         a row as a message; it has no text
    usual           the usual row, read faster
"""
