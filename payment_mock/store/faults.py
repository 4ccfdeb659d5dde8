"""Fault rules and how often each fired. The count is raised by the statement that grants the firing, so a rule with
`times: 1` fires once even when a hundred requests reach it together, in several processes."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_mock.faults.rules import Rule, RuleInput

_CHANGED = "changed AS (SELECT nextval('payments.faults_version') AS version)"
_ADD = text(f"""
    WITH {_CHANGED}
    INSERT INTO payments.faults (point, action, times, delay_seconds, status, copies, match, set)
    SELECT CAST(:point AS text), CAST(:action AS text), CAST(:times AS integer), CAST(:delay AS double precision),
        CAST(:status AS integer), CAST(:copies AS integer), CAST(:match AS jsonb), CAST(:set AS jsonb) FROM changed
    RETURNING id
""")
_REMOVE = text(f"""
    WITH {_CHANGED}
    DELETE FROM payments.faults USING changed WHERE CAST(:id AS bigint) IS NULL OR id = CAST(:id AS bigint) RETURNING id
""")
_ALL = text("""
    SELECT id, point, action, times, fired, delay_seconds, status, copies, match, set FROM payments.faults ORDER BY id
""")
_FIRE = text("""
    UPDATE payments.faults SET fired = fired + 1 WHERE id = :id AND (times IS NULL OR fired < times) RETURNING fired
""")
_VERSION = text("SELECT last_value FROM payments.faults_version")


async def add(connection: AsyncConnection, rule: RuleInput) -> int:
    return int(
        (
            await connection.execute(
                _ADD,
                {
                    "point": rule.point,
                    "action": rule.action,
                    "times": rule.times,
                    "delay": rule.delay_seconds,
                    "status": rule.status,
                    "copies": rule.copies,
                    "match": rule.match.model_dump_json(exclude_none=True),
                    "set": json.dumps(rule.set),
                },
            )
        ).scalar_one()
    )


async def remove(connection: AsyncConnection, rule_id: int | None) -> int:
    """Delete one rule, or all. Returns how many."""
    return len((await connection.execute(_REMOVE, {"id": rule_id})).all())


async def every(connection: AsyncConnection) -> Sequence[Rule]:
    return [Rule(**row) for row in (await connection.execute(_ALL)).mappings()]


async def fire(connection: AsyncConnection, rule_id: int) -> int | None:
    """How often the rule has fired with this time, or None: it is spent or gone."""
    fired: int | None = await connection.scalar(_FIRE, {"id": rule_id})
    return fired


async def version(connection: AsyncConnection) -> Any:
    return await connection.scalar(_VERSION)
