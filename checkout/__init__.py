"""The checkout itself, pure: what orders, payments and keys are, and the rules they follow. Imports nothing of ours."""
