"""The operator's console at `/admin`: what is stuck, orders, stock, and in development a way to break things."""
