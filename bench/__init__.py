"""Load: whole paid checkouts against a running stack. See README.md beside this file."""
