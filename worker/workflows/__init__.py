"""Workflows: deterministic, without clock, randomness or I/O of their own. `api` uses their definitions only."""
