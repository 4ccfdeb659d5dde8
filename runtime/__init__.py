"""What processes need and no customer knows: settings, Temporal, codec, logs, failpoints, background work."""
