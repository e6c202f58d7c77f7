"""The configuration, checked whole: all errors at once, each with its line and its fix.

No connection is opened here.

Files::

    load            a file to a Config
    file            the keys of the file
    forms           what a value may look like
    schema          the keys for editors, and for people
    accounts        an account with everything resolved, and the rules between its values
    report          errors as people read them
    yaml_document   YAML with line numbers
    units           durations, rates, times
    paths           files and folders beside the configuration, or in somebody's home
    secrets         ``{env: NAME}`` and ``{file: PATH}``
    certificates    whom TLS trusts
    proxies         an account's key, and the environment's variables
    provider_keys   the keys of an account that only its provider knows
    options         a vendor's own options: made, checked, and their secrets
    file_watch      files that change while the daemon runs
    references      files and variables that the configuration names
    stream_names    the names of an account's streams
    example         a commented example
"""
