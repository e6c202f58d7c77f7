"""Stuut: a thread is listed whole each time.

Files::

    provider        the requests and answers
    message         a row as a message
    usual           the usual row, read faster
    cap             when a list is silently capped
"""
