"""The `checkout` command's subcommands, one module each. What is slow to import is imported when it is used."""
