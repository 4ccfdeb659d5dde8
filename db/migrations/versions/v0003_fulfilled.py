"""An index of the orders that are paid and wait for the warehouse, for the operator's list."""

from alembic import op

from db.scripts import run_script

revision = "0003_fulfilled"
down_revision = "0002_money"


def upgrade() -> None:
    run_script(op.get_bind(), "migrations/versions/v0003_fulfilled.sql")
