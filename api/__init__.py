"""The gateway: HTTP in front of the checkout. Holds no state of its own; any number of them may run."""
