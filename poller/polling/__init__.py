"""One account and its streams: what is asked next, how it is asked, how the answer is read.

Nothing of one account can delay another. The pure parts (schedule, demand, lookups) answer and never wait;
``account`` is the one loop that acts. Kafka is met only through ``publishing``.

Files::

    account         the loop of one account
    context         what the streams of an account share
    streams         a stream as it is polled
    jobs            what can be asked of a stream: sweeps, backfills, side queries
    schedule        which stream's which job is asked next
    demand          what an account's sweeps ask for, against its rate limit
    pictures        the account as outsiders see it
    backoff         why streams and accounts wait, and how long
    sweep           one window, page by page
    side_queries    hints, look-ups and recounts beside the sweeps
    page            one answer: asked, read, learned from, told
    lookups         which message is asked for by its id next
    unchanged       rows and pages that need not be read again
    ladder_tuning   how the rungs follow what is learned
    client/         the vendor over HTTP
"""
