"""The control plane: planted faults. Inert, it costs a request one look at an empty list."""
