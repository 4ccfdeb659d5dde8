"""HTTP routes: Stripe's API (`stripe_*`), the guide's, the hosted page, the control plane, the probes."""
