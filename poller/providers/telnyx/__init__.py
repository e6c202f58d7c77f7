"""Telnyx: detail records of messages by page numbers. README.md has the sources and ambiguities.

Files::

    provider        the contract: one stream, pages with totals
    message         a record as a message; it has no text
    usual           the usual row, read faster
"""
