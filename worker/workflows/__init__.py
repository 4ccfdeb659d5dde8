"""Workflows: deterministic, without clock, randomness or I/O of their own.

`api` may import from here (definitions only), to start workflows and to signal and query them by type.
"""
