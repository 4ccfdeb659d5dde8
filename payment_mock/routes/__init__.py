"""HTTP routes: Stripe's API, the guide's, the hosted page, the control plane."""
