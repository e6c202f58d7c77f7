"""The only Kafka: everything else sees ``port``.

Every exception of the client becomes one of ours here (``translate``), and every wait has a deadline.

Files::

    port            what the engine asks of Kafka
    client          the port, filled by aiokafka
    connection      consumers, producers and administration, opened and closed in bounded time
    writer          one shard's transactional producer
    membership      our seat in the consumer group
    assignor        who gets which shard
    connect         the security settings
    topics          what the topics must be
    public_topics   the public topics, read back; state_topic the state, looked at beside its owners
    schema_registry the schemas' numbers, asked for at the start
    translate       the client's errors as ours
    partitioner     a key's partition, an account's shard
"""
