"""The rows of the fault catalogue that need more than a failpoint, by chapter: what goes wrong, and what comes of it.

Each row is a coroutine `(trip) -> outcome` that plants its fault, proves that it happened, and wants the right end.
"""

from collections.abc import Sequence

from tests.campaigns.chaos.catalogue import gateway, postgres, provider, temporal, webhooks, worker
from tests.campaigns.chaos.catalogue.row import Row

ROWS: Sequence[Row] = (
    *gateway.ROWS,
    *worker.ROWS,
    *temporal.ROWS,
    *postgres.ROWS,
    *provider.ROWS,
    *webhooks.ROWS,
)
