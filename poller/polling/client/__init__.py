"""The vendor over HTTP: the only place that sends a request.

Files::

    vendor          one account's vendor: what is sent, when, and what its clock says
    http            requests and answers, within limits
    transport       the connections, as the configuration has them
    wire            what a transport is, and the head of an answer; over_aiohttp and over_httpx are the two
    bodies          what an answer holds, unpacked and in UTF-8
    addresses       a request's URL, which never leaves base_url
    credentials     an account's secrets as headers
    rate_limit      how fast
    provider_clock  the provider's clock, from Date headers
"""
