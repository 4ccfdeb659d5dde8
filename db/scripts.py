"""SQL that stands in files of its own: the schema's steps, the rights of roles, a first catalogue, the invariants."""

from pathlib import Path

from sqlalchemy import Connection

_FOLDER = Path(__file__).parent


def script(name: str, /, **fragments: str) -> str:
    """The file's text, by its path from here. `fragments` of SQL come where it has `{their names}`."""
    statements = (_FOLDER / name).read_text(encoding="utf-8")
    for placeholder, fragment in fragments.items():
        statements = statements.replace(f"{{{placeholder}}}", fragment)
    return statements


def run_script(connection: Connection, /, name: str, **identifiers: str) -> None:
    """Run all statements of the file in the connection's transaction, which must have begun. `identifiers` must
    be quoted."""
    statements = script(name, **identifiers)
    driver = connection.connection.dbapi_connection
    assert driver is not None
    # Through asyncpg itself, whose simple protocol takes many statements at once. SQLAlchemy's prepares one at a time.
    driver.run_async(lambda session: session.execute(statements))
