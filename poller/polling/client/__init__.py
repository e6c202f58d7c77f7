"""The vendor over HTTP: the only place that sends a request.

Files::

    vendor          one account's vendor: what is sent, when, and what its clock says
    http            requests and answers, within limits
    credentials     an account's secrets as headers
    rate_limit      how fast
    provider_clock  the provider's clock, from Date headers
"""
