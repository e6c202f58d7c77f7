"""What a person runs beside the daemon. Each command is one file, with the functions that only it needs.

Results go to stdout and talk to stderr. A command raises typed errors and never exits by itself: ``cli`` turns an
error into an exit code. Nothing here is imported by the daemon.

Files::

    check           the configuration and what it names; with ``--online`` what ``run`` would meet
    topics          what the topics must be, and their creation
    tail            events for people
    backfill        asks the owner of a stream for a past range
    audit           reads the public topics back; audit_rules judges them (pure)
    reshard         the state under another number of shards
    rebuild         a lost state topic, made again from the public topics; state_topic is what both share
    schemas         the JSON Schemas
"""
