"""What stands around every request: headers, origin, paths, metrics."""
