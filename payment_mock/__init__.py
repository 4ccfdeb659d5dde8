"""The payment service: a stateful, durable simulator that speaks Stripe's wire protocol.

It stands where Stripe stands in production. It shares no code and no table with the shop, so that what the
shop learns of a payment, it learns over HTTP. Money is integer minor units everywhere.
"""
