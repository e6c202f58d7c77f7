"""Poll SMS vendors and publish every message and every status to Kafka, exactly once.

The files in the order in which a message meets them::

    cli             argv to command, errors to exit codes
    app             the composition root: opens everything, waits for Kafka, ends on SIGTERM
    config          the configuration, resolved: config_file (its shape), yaml_lines, units, secrets, references, example
    worker          the shards that the group hands this worker, and the accounts on them
    shard           one shard's life: fence, restore, run, drain, close
    restore         the state topic into the local cache
    polling         one account: its streams, its allowance, its troubles
    troubles        why streams and accounts wait
    agenda          which stream's which rung is asked next
    pacing          how fast, and how soon again
    window          the ladder of rungs: the only time-range arithmetic
    lateness        how late rows come, and the overlap that follows
    sweep           one window, page by page
    polled          an account and its streams, as they are polled
    reading         one answer: asked, read, learned from, told
    lookups         which message is asked for by its id next
    chores          what is asked beside the sweeps: hints, look-ups by id, audits
    backfill        a past range, and what is known to be published
    known           rows and pages that need not be read again
    providers       the adapters: common, stuut, heymarket, heymarket_walk, heymarket_page, heymarket_audit,
                    fonedynamics, fonedynamics_audit, looks, registry
    credentials     an account's secrets as headers
    provider_clock  the provider's clock, from Date headers
    fetch           the only HTTP
    diff            what is listed against what was published
    ledger          one shard's state, with what is queued
    commit          group commit: the only writer of Kafka and of the cache
    privacy         what may be published
    codec           the only bytes
    port            what the engine asks of Kafka
    kafka           the port filled: kafka_errors, group (membership), topics (audit), connect (security)
    store           the local cache
    telemetry       one method per fact: logs and metrics
    snapshot        frozen pictures of what runs
    status          the administration port
    stop            the signals that end a command
    online          checks that connect
    published       the public topics, read back
    audit           the judge of what was published
    reshard         the state under another number of shards
    rebuild         a lost state, made again from what was published
    ask             asks the owner of a stream for a backfill
    tail            events for people
    schemas         the JSON Schemas
    model           the vocabulary
    errors          the error tree
    clock           the only time
    demo            broker, jars, switches, shelf, world, providers, server, truth, judge, reader, view, command
"""

__version__ = "0.1.0"
