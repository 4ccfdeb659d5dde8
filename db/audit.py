"""How the invariants are checked: what has changed since it was last found in order, or everything, in pieces.

An audit **of what is recent** looks at every live order; at those in `shop.audit_due`, which triggers fill with
whatever is touched; at those of which the payment service's ledger has something new; and, in turn, at a few old ones
(the patrol). What stands open (stock, sessions, debts, deadlines) is looked at as a whole, each by its own index.

An audit **of everything** reads every order, session and movement, piece by piece, and believes no trigger: it sees
what was changed behind their back, and what was rewritten in the payment service's ledger, at once.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.invariants import Finding, Found, StockSums, audit_orders, audit_standing, has_payments
from db.order_queries import LIVE

PIECE = 5_000  # orders or sessions
PATROL = 1_000  # old orders that are read again with each recent audit
_LEDGER_OVERLAP = timedelta(minutes=1)  # longer than any transaction of the payment service takes to commit
# Advisory locks of transactions, which poolers of transactions keep as well.
_A_PIECE, _THE_WHOLE = 0x5EED_A0D1, 0x5EED_A0D2

_LIVE_ORDERS = text(f"SELECT id FROM shop.orders WHERE status IN {LIVE}")
_DUE = text(f"""
    SELECT d.order_id FROM shop.audit_due d LEFT JOIN shop.orders o ON o.id = d.order_id
     WHERE o.id IS NULL OR o.status NOT IN {LIVE} LIMIT :limit
""")
_HOW_MANY_DUE = text("SELECT count(*) FROM shop.audit_due")
_HOW_MUCH = text("""
    SELECT greatest(reltuples, 0), (SELECT greatest(max(reltuples), 0) FROM pg_class
                                     WHERE oid = to_regclass('payments.sessions'))
      FROM pg_class WHERE oid = to_regclass('shop.orders')
""")
_STATE = text("SELECT ledger_read_to, patrolled_to, clock_timestamp() AS now FROM shop.audit_state")
_TOUCHED_IN_THE_LEDGER = text("""
    SELECT coalesce(s.metadata ->> 'order_id', s.id), l.at
      FROM payments.ledger l JOIN payments.sessions s ON s.id = l.session_id WHERE l.at > :since
     ORDER BY l.at FETCH FIRST (:limit) ROWS WITH TIES
""")
_CHARGES = text("SELECT count(*) FROM payments.ledger WHERE session_id = :session_id AND kind = 'charge'")
# Nothing will be wrong with such an order later that is right now, unless something changes.
_AT_REST = text("""
    SELECT d.order_id, d.changes FROM shop.audit_due d LEFT JOIN shop.orders o ON o.id = d.order_id
     WHERE d.order_id = ANY(CAST(:orders AS text[]))
       AND (o.id IS NULL OR o.status IN ('dispatched', 'rejected', 'cancelled', 'refunded')
                            AND o.updated_at < clock_timestamp() - CAST(:grace AS interval))
""")
_AUDITED = text("SELECT shop.audited(:clean, :seen, :wrong, :read_to, :patrolled)")
# Both tell how far they have come, and what has to be looked at.
_ORDERS = text("SELECT id, id FROM shop.orders WHERE id > :after ORDER BY id LIMIT :limit")
_STRAYS = text("""
    SELECT s.id, CASE WHEN o.id IS NULL THEN coalesce(s.order_id, s.id) END
      FROM (SELECT id, metadata ->> 'order_id' AS order_id FROM payments.sessions
             WHERE id > :after ORDER BY id LIMIT :limit) s
      LEFT JOIN shop.orders o ON o.id = s.order_id ORDER BY s.id
""")


@dataclass(frozen=True)
class Agenda:
    """What a recent audit looks at. `waiting`: orders that are due and have to wait for the next one."""

    orders: list[str]
    waiting: int
    ledger_read_to: datetime
    patrolled_to: str


@dataclass(frozen=True)
class Piece:
    """Of all orders, or payment sessions: how many were `read`, up to `last` (None behind the last one), and what
    `orders` have to be looked at (or sessions without one)."""

    last: str | None
    read: int
    orders: list[str]


@asynccontextmanager
async def snapshot(engine: AsyncEngine, patience: float) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads and in which all statements see one moment, `patience` seconds each. Nobody else
    audits anything meanwhile, however many gateways there are."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            await connection.execute(text("SET TRANSACTION READ ONLY"))
            for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                await connection.execute(text(f"SET LOCAL {limit} = '{patience:.0f}s'"))
            # A piece is found by indexes, whatever the planner believes of its size.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
            await connection.execute(text("SET LOCAL jit = off"))
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_A_PIECE})"))
            yield connection


@asynccontextmanager
async def the_whole(engine: AsyncEngine) -> AsyncIterator[bool]:
    """Whether everything may be audited in the block: nobody else does. Holds a connection, and no snapshot."""
    async with engine.connect() as connection, connection.begin():
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield bool(await connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_THE_WHOLE})")))


async def audit_ledgers(connection: AsyncConnection, grace: timedelta) -> list[Finding]:
    """Everything at once, for a shop that is small. `connection` must be in one REPEATABLE READ transaction."""
    found = Found()
    orders = await next_orders(connection, "", limit=None)
    strays = await next_strays(connection, "", limit=None)
    await audit_orders(connection, [*orders.orders, *strays.orders], grace, found)
    await audit_standing(connection, grace, found)
    sums = await StockSums.begin(connection)
    while not sums.is_read:
        await sums.read_on(connection)
    found.add(4, 0, await sums.differences(connection))
    return found.sorted()


async def agenda(connection: AsyncConnection, grace: timedelta, patrol: int = PATROL) -> Agenda:
    """What has to be looked at now, as one snapshot has it."""
    state = (await connection.execute(_STATE)).one()
    live = (await connection.scalars(_LIVE_ORDERS)).all()
    due = (await connection.scalars(_DUE, {"limit": PIECE})).all()
    waiting = await how_many_due(connection) - len(live) - len(due)
    paid: list[tuple[str, datetime]] = []
    if await has_payments(connection):
        given = {"since": state.ledger_read_to, "limit": PIECE}
        paid = [(whom, at) for whom, at in await connection.execute(_TOUCHED_IN_THE_LEDGER, given)]
    # What is younger may be committed later, or be younger than `grace`: it is read again.
    settled = state.now - _LEDGER_OVERLAP - grace
    old = (await next_orders(connection, state.patrolled_to, patrol)).orders
    return Agenda(
        orders=list(dict.fromkeys([*live, *due, *(whom for whom, _ in paid), *old])),
        waiting=max(waiting, 0),
        ledger_read_to=min(paid[-1][1], settled) if len(paid) >= PIECE else settled,
        patrolled_to=old[-1] if len(old) == patrol > 0 else "",
    )


async def nothing_new(connection: AsyncConnection, grace: timedelta) -> Agenda:
    """The agenda to store when a full audit that starts now has finished."""
    now = (await connection.execute(_STATE)).one().now
    return Agenda(orders=[], waiting=0, ledger_read_to=now - _LEDGER_OVERLAP - grace, patrolled_to="")


async def at_rest(connection: AsyncConnection, orders: Sequence[str], grace: timedelta) -> list[tuple[str, int]]:
    """Due orders that need no further check if they are found correct: each with its count of changes, as the audit's
    snapshot has it."""
    rows = await connection.execute(_AT_REST, {"orders": list(orders), "grace": grace})
    return [(str(order_id), int(changes)) for order_id, changes in rows]


async def note(
    connection: AsyncConnection, seen: Sequence[tuple[str, int]], wrong: Iterable[str], done: Agenda | None = None
) -> None:
    """Clear the orders `seen` at rest from `shop.audit_due`, unless they have changed since; put the `wrong` ones back
    into it; store how far the audit got (`done`). To be called in a transaction of its own, after the snapshot's."""
    bad = set(wrong)
    clean = {order_id: changes for order_id, changes in seen if order_id not in bad}
    given = {"clean": list(clean), "seen": list(clean.values()), "wrong": sorted(bad)}
    read_to, patrolled = (done.ledger_read_to, done.patrolled_to) if done else (None, None)
    await connection.execute(_AUDITED, given | {"read_to": read_to, "patrolled": patrolled})


async def next_orders(connection: AsyncConnection, after: str, limit: int | None = PIECE) -> Piece:
    """Those that come after the order `after`."""
    return await _next(connection, _ORDERS, after, limit)


async def next_strays(connection: AsyncConnection, after: str, limit: int | None = PIECE) -> Piece:
    """Sessions that come after the session `after`, and name an order which does not exist, or none."""
    if not await has_payments(connection):
        return Piece(None, 0, [])
    return await _next(connection, _STRAYS, after, limit)


async def _next(connection: AsyncConnection, statement: TextClause, after: str, limit: int | None) -> Piece:
    rows = (await connection.execute(statement, {"after": after, "limit": limit})).all()
    return Piece(rows[-1][0] if rows else None, len(rows), [whom for _, whom in rows if whom is not None])


async def how_much(connection: AsyncConnection) -> tuple[int, int]:
    """About how many orders and payment sessions there are: counted when the tables were last analysed."""
    rows = (await connection.execute(_HOW_MUCH)).one()
    return int(rows[0]), int(rows[1])


async def how_many_due(connection: AsyncConnection) -> int:
    return int(await connection.scalar(_HOW_MANY_DUE) or 0)


async def charges_of(connection: AsyncConnection, session_id: str) -> int:
    """How often the payment service has charged for a session, by its own ledger."""
    return int((await connection.execute(_CHARGES, {"session_id": session_id})).scalar_one())
