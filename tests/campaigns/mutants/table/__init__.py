"""All planted bugs, in the order in which they are run: each is in the file of the part of the house it hurts."""

from types import ModuleType

from tests.campaigns.mutants.mutant import Mutant
from tests.campaigns.mutants.table import (
    api_checkouts,
    api_edge,
    api_pages,
    api_webhooks,
    checkout,
    db_audit,
    db_engine,
    db_money,
    db_orders,
    db_schema,
    payment_mock,
    runtime,
    stack_and_cli,
    worker,
    worker_activities,
    worker_payments,
    worker_workflows,
)

# Whose bugs are in which file. Of two places that fit, the longer one counts.
ROOMS: dict[str, ModuleType] = {
    "checkout/": checkout,
    "db/opening.py": db_orders,
    "db/orders.py": db_orders,
    "db/order_queries.py": db_orders,
    "db/writing.py": db_orders,
    "db/catalogue.py": db_orders,
    "db/book.py": db_money,
    "db/ledger.py": db_money,
    "db/refunds.py": db_money,
    "db/consequences.py": db_money,
    "db/migrations/": db_schema,
    "db/audit.py": db_audit,
    "db/invariants.py": db_audit,
    "db/invariants.sql": db_audit,
    "db/views.py": db_audit,
    "db/insights.py": db_audit,
    "db/": db_engine,
    "worker/workflows/": worker_workflows,
    "worker/activities/": worker_activities,
    "worker/payments/": worker_payments,
    "worker/": worker,
    "tests/support/sandbox.py": worker,
    "api/carts.py": api_checkouts,
    "api/checkouts.py": api_checkouts,
    "api/orders.py": api_checkouts,
    "api/order_views.py": api_checkouts,
    "api/catalogue.py": api_checkouts,
    "api/webhooks.py": api_webhooks,
    "api/web/": api_pages,
    "api/order_events.py": api_pages,
    "api/waiting.py": api_pages,
    "api/board.py": api_pages,
    "api/": api_edge,
    "payment_mock/": payment_mock,
    "runtime/": runtime,
    "stack/": stack_and_cli,
    "cli/": stack_and_cli,
    "bench/": stack_and_cli,
    "deploy/": stack_and_cli,
}

MUTANTS: tuple[Mutant, ...] = tuple(one for room in dict.fromkeys(ROOMS.values()) for one in room.BUGS)
