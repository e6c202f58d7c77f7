"""The vendors. Pure: requests and values; no I/O, no clock, no log.

Files::

    contract        what a provider is
    registry        the providers by name
    exam            the questions that every provider must answer, for packages outside too
    kit/            what several vendors need
    stuut/  heymarket/  fonedynamics/  twilio/  telnyx/  plivo/

A vendor's folder never imports another's, and nothing outside a vendor's folder knows the vendor.
"""
