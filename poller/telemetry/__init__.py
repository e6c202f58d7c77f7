"""Every fact once: one method tells the log and the metrics, so that they never disagree.

Outsiders get frozen pictures, never running objects. No message text, phone number or secret comes here.

Files::

    facts           what can be told
    metrics         the Prometheus series
    log             the log lines
    event_types     the names of the events
    snapshot        frozen pictures of what runs
    admin           the administration port
"""
