"""The schema `shop`, in numbered steps: a Python file each for Alembic, what it does in SQL files beside it."""
