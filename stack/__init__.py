"""One machine's development stack: PostgreSQL, Temporal, payment service, worker and gateway, supervised."""
