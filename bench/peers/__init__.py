"""The same checkout built on something else: what ours is measured against. See ../README.md, "The peers".

Every peer answers `POST /checkout/{key}` with a payment link, takes the payment service's signed webhook and moves
the same rows of the same schema, so that one load, one observer and one auditor serve all. None of them is a product:
what ours does besides (cancelling, refunds, late payments, pages, limits) they leave out, which makes them faster.
"""
