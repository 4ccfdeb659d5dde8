"""Load: whole paid checkouts, against a running stack or against this shop and its peers in turn. See README.md beside
this file."""
