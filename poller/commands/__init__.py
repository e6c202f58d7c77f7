"""What a person runs beside the daemon. Each command is one file, with the functions that only it needs.

Results go to stdout and talk to stderr. A command raises typed errors and never exits by itself: ``cli`` turns an
error into an exit code. Nothing here is imported by the daemon.

A command's file begins with ``command``: what it takes on the command line, and the help that people read.

Files::

    arguments       what several commands take on the command line
    process         how a command's work is run, and what ends it: signals, a reader that leaves
    exit_codes      what a process says to the program that started it
    check           the configuration and what it names; with ``--online`` what ``run`` would meet
    topics          what the topics must be, and their creation
    config          the configuration file for people and for editors
    schemas         the JSON Schemas
    status          the verdict of the status page, of one worker or of several
    explain         the runbook's entry for an alert, or for a word of the log or the page
    tail, trace     events for people: as they come, and of one message; event_lines is what both print
    backfill        asks the owner of a stream for a past range
    audit           reads the public topics back; audit_rules and latest_rules judge them (pure)
    reshard         the state under another number of shards
    rebuild         a lost state topic, or what it lost, made again from the public topics; history is what these tell (pure)
    state_topic     what reshard and rebuild share
    fill_latest     the topic of latest messages, filled from older events: ``rebuild --latest``
"""
