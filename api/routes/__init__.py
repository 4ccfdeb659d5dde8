"""The gateway's endpoints, one module a resource."""
