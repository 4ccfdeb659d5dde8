"""What people see: server-rendered pages, a little script, every asset in the package."""
