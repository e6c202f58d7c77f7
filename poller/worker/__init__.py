"""The daemon: which process owns which shard, and who lives how long.

Ownership comes from Kafka's group, lifetimes are task groups. Nothing here knows a vendor, a row or a byte.

Files::

    daemon          opens everything, waits for Kafka, ends on SIGTERM
    worker          the shards that the group hands this process
    phases          of a shard's life
    unending        tasks that may not end by themselves
    shard           one shard's life: fence, restore, run, drain, close
    forgetting      what no later window can reach, and streams that nobody polls any more
    account_wiring  an account's parts, put together from its configuration
"""
