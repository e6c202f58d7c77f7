"""One account and its streams: what is asked next, how it is asked, how the answer is read.

Nothing of one account can delay another. The pure parts (schedule, demand, lookups) answer and never wait;
``account`` is the one loop that acts. Kafka is met only through ``publishing``.

Files::

    account         the loop of one account
    settings        what the operator wants of an account
    streams         a stream as it is polled
    jobs            what can be asked of a stream: sweeps, the edge, backfills, side queries
    schedule        which stream's which job is asked next
    planning        when a job is due next, after a page or a failure
    failures        who waits for what failed
    demand          what an account's sweeps ask for, against its rate limit
    pictures        the account as outsiders see it
    backoff         why streams and accounts wait, and how long
    sweep           which window and page is next, and how the cursor moves
    side_queries    hints, look-ups and recounts beside the sweeps
    page            one page: choose, exchange, apply
    rows            a page's rows, read
    provider_code   the border to a provider's code, which may fall over
    lookups         which message is asked for by its id next
    unchanged       rows and pages that need not be read again
    ladder_tuning   how the rungs follow what is learned
    client/         the vendor over HTTP
"""
