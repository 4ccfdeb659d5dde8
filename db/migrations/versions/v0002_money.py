"""The money after the sale: payments, their refunds and their disputes, each one row for an object of the provider."""

from alembic import op

from db.scripts import run_script

revision = "0002_money"
down_revision = "0001_shop"


def upgrade() -> None:
    for part in ("tables", "guards"):
        run_script(op.get_bind(), f"migrations/versions/v0002_money_{part}.sql")
