"""What the pages say, without a browser."""
