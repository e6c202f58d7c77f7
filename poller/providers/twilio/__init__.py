"""Twilio, and what speaks its API: an account's messages by links, newest sent first. README.md has the sources and ambiguities.

Files::

    provider        the contract: account or subaccounts, credentials, look-ups, the re-reading of what is not sent
    walk            one sweep: unfiltered from the top, or filtered by the time of sending
    message         a row as a message
    usual           the usual row, read faster
"""
