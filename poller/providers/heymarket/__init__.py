"""Heymarket: a team is listed from its newest message back, by a time cursor.

Files::

    provider        the requests and answers
    message         a row as a message
    usual           the usual row, read faster
    asking          the request of a page
    walk            from page to page
    crowd           past more rows of one date than a page holds
    page_order      what one page says of its order
    recount         counts against lists
"""
