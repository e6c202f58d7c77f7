"""What several vendors need: tolerant readers and paging. Nothing here knows a vendor.

Files::

    answers         statuses of answers, waits, the body of a usable one
    rows            an answer's rows, whole or one by one
    members         one message, and what stands beside the rows
    usual           rows of the usual shape, read at once
    times           times as vendors print them
    values          ids, phone numbers, texts
    suspects        when a disagreement between lists is a hole
    paging          tokens, links and page numbers
    windows         retention and longest windows
    auth            credentials as headers
"""
