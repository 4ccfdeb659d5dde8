"""The durable outbox: events leave in the transaction that made them, and are sent until somebody answers 2xx."""
