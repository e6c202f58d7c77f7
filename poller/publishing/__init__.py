"""What is new among the rows, and how it becomes durable: events and state in one Kafka transaction.

``diff``, ``fingerprints``, ``newest`` and ``privacy`` are pure. Only ``commit`` begins transactions, and only it writes the cache.

Files::

    diff            what is listed against what was published
    fingerprints    which fields of a message differ, without keeping them
    message_state   what is kept of a message
    privacy         what may be published
    events          a change as Kafka records
    newest          what the events of a message tell of it, for latest messages that are made later
    event_schemas   what the public topics hold, described
    framing         how a record names its registered schema
    state_records   state as Kafka records
    changes         what pages add, waiting for its transaction
    shard_state     one shard's state, with what is queued
    commit          group commit
    cache           the local copy of the state (RocksDB), which may vanish
    restore         the state topic into the cache
"""
