"""The vendor over HTTP: the only place that sends a request.

Files::

    http            requests and answers, within limits
    credentials     an account's secrets as headers
    rate_limit      how fast
    provider_clock  the provider's clock, from Date headers
"""
