"""Poll SMS vendors and publish every message and every status to Kafka, exactly once.

The rooms, from the roof to the cellar; imports go down only (import-linter checks it)::

    cli             argv to a command, errors to exit codes
    commands/       what a person runs and reads: check, topics, tail, backfill, audit, reshard, rebuild, schemas
    worker/         the daemon: process, ownership of shards, lifetimes
    demo/           everything at once for a newcomer: a Kafka, simulated providers, a live view, an independent judge
    polling/        one account's streams: what is asked next, asked, and read
    publishing/     what is new, as events and state in one transaction
    kafka/          the only Kafka
    config/         the configuration, checked whole
    coverage/       which ages of a stream were read: ladder, cursor, backfill (pure)
    providers/      the vendors: contract, kit, one folder each (pure)
    telemetry/      every fact once: log, metrics, status page
    times  clock  memory    times as text; the only clock; what was met lately, within a bound
    model  errors  signals      the vocabulary; who stops for what; how a process is told to end

Each folder's own docstring says what lives in it, what may never, and lists its files.
"""

__version__ = "0.1.0"
