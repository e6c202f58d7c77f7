"""How each simulated vendor words its rows and answers.

Files::

    answers         one answer, and the faults that may befall it
    routes          a request to the vendor that answers it
    stuut  heymarket  fonedynamics  twilio  telnyx  plivo
"""
