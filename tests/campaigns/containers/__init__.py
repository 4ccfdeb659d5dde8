"""The containers, for real: the image built, the compose file started as it stands, everything in it killed once."""
