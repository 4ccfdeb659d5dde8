"""The SQL. One module a table group; no function here commits."""
