"""Fault rules and how often each fired. The count is raised by the statement that grants the firing, so a rule with
`times: 1` fires once even when a hundred requests reach it together, in several processes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.faults.rules import Rule, RuleInput

_CHANGED = "changed AS (SELECT nextval('payments.faults_version') AS version)"
_ADD = text(f"WITH {_CHANGED} INSERT INTO payments.faults (rule) SELECT CAST(:rule AS jsonb) FROM changed RETURNING id")
_REMOVE = text(f"""
    WITH {_CHANGED}
    DELETE FROM payments.faults USING changed WHERE CAST(:id AS bigint) IS NULL OR id = CAST(:id AS bigint) RETURNING id
""")
_ALL = text("SELECT id, fired, rule FROM payments.faults ORDER BY id")
_FIRE = text("""
    UPDATE payments.faults SET fired = fired + 1
    WHERE id = :id AND (rule->>'times' IS NULL OR fired < CAST(rule->>'times' AS bigint)) RETURNING fired
""")
_VERSION = text("SELECT last_value FROM payments.faults_version")


async def add(connection: AsyncConnection, rule: RuleInput) -> int:
    return int((await connection.execute(_ADD, {"rule": rule.model_dump_json()})).scalar_one())


async def remove(connection: AsyncConnection, rule_id: int | None) -> int:
    """Delete one rule, or all. Returns how many."""
    return len((await connection.execute(_REMOVE, {"id": rule_id})).all())


async def every(connection: AsyncConnection) -> Sequence[Rule]:
    return [Rule(id=row.id, fired=row.fired, **row.rule) for row in await connection.execute(_ALL)]


async def fire(connection: AsyncConnection, rule_id: int) -> int | None:
    """How often the rule has fired with this time, or None: it is spent or gone."""
    fired: int | None = await connection.scalar(_FIRE, {"id": rule_id})
    return fired


async def version(connection: AsyncConnection) -> Any:
    return await connection.scalar(_VERSION)
