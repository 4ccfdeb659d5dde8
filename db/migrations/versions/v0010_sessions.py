"""Sessions of operators that were signed out before their time."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE shop.ended_sessions (
            id          text PRIMARY KEY CHECK (length(id) BETWEEN 16 AND 64),
            expires_at  timestamptz NOT NULL
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE shop.ended_sessions")
