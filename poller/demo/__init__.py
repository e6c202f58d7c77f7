"""Everything at once for a newcomer, and the world that tests are played in.

Files::

    entry           ``poller demo`` begins; command runs it
    accounts        the simulated vendors' accounts, and what a configuration says of each
    view            the live view
    kafka/          a real Apache Kafka as a child process, and an independent reader
    simulator/      vendors that misbehave on demand, and the judge of what was published

The daemon never imports this folder.
"""
