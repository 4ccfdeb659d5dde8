"""The payment service over real HTTP and a real PostgreSQL, with the official Stripe library as its client."""
