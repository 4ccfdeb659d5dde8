"""The payment service's parts that need no server."""
