"""A real Apache Kafka from package registries, as a child process.

Files::

    jars            Kafka's jars, fetched once and kept
    broker          one node or three, from formatting to a clean end
    reader          a ``read_committed`` reader that shares no code with the writer (librdkafka)
"""
