"""Which ages of a stream were read. Pure: instants in, values out; no clock, no I/O, no vendor.

Files::

    ladder          the rungs: slices of ages, each with its period
    cursor          what is read of one stream: a watermark for each rung, sweeps in hand
    parts           a long sweep as several that are read at once
    backfill        a past range beside live polling
    gaps            ranges that cannot be proved complete
    lateness        how late rows come, and the overlap that follows
"""
