"""What the vendors ship judges requests and readings: ``make vendor-requests``. Their files are fetched into ``build``, never committed."""
