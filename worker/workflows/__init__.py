"""Workflows: deterministic, without clock, randomness or I/O of their own, which tests hold by the SDK's sandbox
(docs/decisions/0015). `api` uses their definitions only."""
