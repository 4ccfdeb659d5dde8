"""What processes need and no customer knows: settings, the Temporal connection, payload codec, logs, failpoints."""
