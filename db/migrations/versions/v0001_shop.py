"""The shop, as of the first release: its tables, their guards, the stock's functions and what the auditor remembers."""

from alembic import op

from db.scripts import run_script

revision = "0001_shop"
down_revision = None


def upgrade() -> None:
    for part in ("tables", "guards", "stock", "audit"):
        run_script(op.get_bind(), f"migrations/versions/v0001_{part}.sql")
