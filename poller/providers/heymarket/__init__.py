"""Heymarket: a team is listed from its newest message back, by a time cursor.

Files::

    provider        the requests and answers
    message         a row as a message
    usual           the usual row, read faster
    walk            from page to page, and past crowds
    page_order      what one page says of its order
    recount         counts against lists
"""
