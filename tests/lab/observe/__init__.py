"""Trials of what an operator sees: the page in a real browser, and outages under a real Prometheus."""
