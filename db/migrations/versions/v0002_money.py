"""The money after the sale: payments, their refunds and their disputes, each one row for an object of the provider.

- Refunds that are not undone never exceed their payment. Whoever writes one takes its payment's row first, by an update
  (`version`), so that this holds at every isolation level and for any writer (`guard_refund`).
- What was done is not undone: a payment that is paid stays paid, a refund moves pending > succeeded > failed, a dispute
  that is closed does not open again.
- `orders.on_hold` says what follows for the warehouse: a dispute that is open or lost, or all of the money asked back.
  Only triggers write it, in the transaction of the change, so that dispatching an order and giving its money back meet
  in the order's own row (`refresh_hold`, `guard_hold`).
- `payments.look_at` is when somebody has to ask the provider again, should no event tell; NULL: nothing stands open.
  `check_at`: when it is asked all the same, a few times in the payment's first months (`next_check`).

Payments, refunds and debts from before are entered as far as they are known; what the provider called their refunds is
found out when they are next looked at.
"""

from db.migrations import run_script

revision = "0002_money"
down_revision = "0001_shop"


def upgrade() -> None:
    run_script("v0002_money_tables.sql")
    run_script("v0002_money_guards.sql")


def downgrade() -> None:
    raise NotImplementedError("This would forget what was given back. Restore a backup instead.")
