"""The payment service: a stateful, durable simulator that speaks Stripe's wire protocol. It shares no code and no table
with the shop, which learns over HTTP what it learns of a payment. Money is integer minor units everywhere."""
