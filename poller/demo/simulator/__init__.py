"""Vendors as their documents describe them, each ambiguity a switch.

Files::

    profiles        what is invented of each vendor: streams, lives, words
    world           the messages that exist, and how they change; shelf keeps them in order
    switches        every way to misbehave
    vendors/        rows and answers as each vendor words them
    server          the answers over real HTTP on loopback
    truth           what a vendor really had
    judge           what was published against the truth

No code of the adapters is used here, so that an error in one is not repeated in the other; times are the exception.
"""
