"""The shop, as of the first release: its tables, their guards, the stock's functions and what the auditor remembers."""

from db.migrations import run_script

revision = "0001_shop"
down_revision = None


def upgrade() -> None:
    for part in ("tables", "guards", "stock", "audit"):
        run_script(f"v0001_{part}.sql")


def downgrade() -> None:
    raise NotImplementedError("This would delete orders and payments. Restore a backup instead.")
