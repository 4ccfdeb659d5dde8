"""The schema `shop`, in numbered steps: a Python file each for Alembic, what it does in SQL files beside it."""

from pathlib import Path

from alembic import op

_VERSIONS = Path(__file__).parent / "versions"


def run_script(name: str) -> None:
    """Run a file of SQL of the folder `versions`, all its statements, in the migration's transaction."""
    script = (_VERSIONS / name).read_text(encoding="utf-8")
    connection = op.get_bind().connection.dbapi_connection
    assert connection is not None
    # Through asyncpg itself, whose simple protocol takes many statements at once. SQLAlchemy's prepares one at a time.
    connection.run_async(lambda driver: driver.execute(script))
