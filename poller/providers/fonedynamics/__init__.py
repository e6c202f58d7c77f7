"""Fone Dynamics: a property is listed by time slices.

Files::

    provider        the requests and answers
    message         a row as a message
    usual           the usual row, read faster
    answers         an answer as rows, and what they say of the question
    slices          a window as slices that one answer holds
    density         how long a slice is, by what earlier windows have taught
    crowds          seconds that no answer holds, and how long one that was walked rests
    reread          ranges read in several ways, and compared
"""
