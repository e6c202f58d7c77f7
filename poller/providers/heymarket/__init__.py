"""Heymarket: a team, or one of its conversations, is listed from its newest message back, by a time cursor.

Files::

    options         what an account asks of a team
    provider        the requests and answers
    message         a row as a message
    usual           the usual row, read faster
    asking          the request of a page
    walk            from page to page
    crowd           past more rows of one date than a page holds
    resting         round one that was walked a while ago
    stride          past rows that print later dates than they are listed by
    overlap         the same, where the vendor does not count
    page_order      what one page says of its order
    history         one conversation alone
    recount         counts against lists
"""
