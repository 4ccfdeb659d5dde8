"""The money after the sale: payments, their refunds and their disputes, each one row for an object of the provider."""

from db.migrations import run_script

revision = "0002_money"
down_revision = "0001_shop"


def upgrade() -> None:
    for part in ("tables", "guards"):
        run_script(f"v0002_money_{part}.sql")


def downgrade() -> None:
    raise NotImplementedError("This would forget what was given back. Restore a backup instead.")
