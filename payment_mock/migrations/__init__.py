"""Alembic migrations of the `payments` schema. Applied by the service itself at start (`payment_mock.migrate`)."""
