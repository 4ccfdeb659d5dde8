"""Alembic's environment. The caller hands over its connection, which holds the migration lock."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="payments", transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
