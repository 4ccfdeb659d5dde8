"""SQL that stands in files of its own: the schema's steps, the rights of roles, a first catalogue, the invariants."""

from pathlib import Path

from sqlalchemy import Connection

_FOLDER = Path(__file__).parent


def script(name: str) -> str:
    """The file's text, by its path from here."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def run_script(connection: Connection, /, name: str, **identifiers: str) -> None:
    """Run all statements of the file in the connection's transaction, which must have begun. `identifiers`, quoted,
    come where it has `{their names}`."""
    statements = script(name)
    for placeholder, identifier in identifiers.items():
        statements = statements.replace(f"{{{placeholder}}}", identifier)
    driver = connection.connection.dbapi_connection
    assert driver is not None
    # Through asyncpg itself, whose simple protocol takes many statements at once. SQLAlchemy's prepares one at a time.
    driver.run_async(lambda session: session.execute(statements))
