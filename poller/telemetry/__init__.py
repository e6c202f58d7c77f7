"""Every fact once: one method tells the log and the metrics, so that they never disagree.

Outsiders get frozen pictures, never running objects. No message text, phone number or secret comes here.

Files::

    facts           what can be told of the worker; account_facts of one account
    known           the values of labels that are known beforehand
    metrics         the Prometheus series, one table
    log             the log lines; log_events their names; saying when trouble is said
    traces          spans for an OpenTelemetry collector, where one is configured
    event_types     the names of the published events
    snapshot        frozen pictures of what runs; census the sums over an account's streams; recent the last minute
    verdict         one sentence that says how it is, and what is wrong (pure); kinds the kinds of trouble in words
    runbook         what to do, by alert and by kind
    page            the pages for people, from templates/
    status_json     the status as JSON, and back
    admin           the administration port
"""
