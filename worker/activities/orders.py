"""The steps that only our own database decides."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from checkout.contracts import FindOrderInput, OpenOrderInput, PaidInput, ReleaseInput
from checkout.orders import LIVE, Order, OrderStatus
from db import opening, order_queries, orders
from db.engine import autocommit, transaction
from runtime.failpoints import Step, around

PROCESSING_TIMEOUT = 14 * 86_400.0


class OrderActivities:
    """Opening, fulfilling and releasing orders. Durations in seconds."""

    def __init__(
        self, engine: AsyncEngine, *, dispatch_duration: float, processing_timeout: float = PROCESSING_TIMEOUT
    ) -> None:
        self._engine, self._reads = engine, autocommit(engine)
        self._dispatch_duration = timedelta(seconds=dispatch_duration)
        self._processing_timeout = timedelta(seconds=processing_timeout)

    async def open_order(self, request: OpenOrderInput) -> Order:
        """Insert the order and reserve its lines, or reject it; or find what the key has already led to."""
        async with transaction(self._engine, Step.OPEN_ORDER) as connection:
            return await opening.open_order(connection, request)

    @activity.defn
    @around(Step.FIND_ORDER)
    async def find_order(self, request: FindOrderInput) -> Order | None:
        async with self._reads.connect() as connection:
            return await order_queries.find_by_id(connection, request.order_id)

    @activity.defn
    async def process_order(self, request: PaidInput) -> Order:
        """Awaiting payment → payment processing: the customer has ordered a payment that takes days."""
        async with transaction(self._engine, Step.PROCESS_ORDER) as connection:
            return await orders.process_order(
                connection, request.order_id, request.payment_intent_id, self._processing_timeout
            )

    @activity.defn
    async def fulfil_order(self, request: PaidInput) -> Order:
        """Held → consumed and awaiting → fulfilled. Raises `CannotFulfil`, final, when a reservation is missing."""
        async with transaction(self._engine, Step.FULFIL_ORDER) as connection:
            return await orders.fulfil_order(
                connection, request.order_id, request.payment_intent_id, self._dispatch_duration
            )

    @activity.defn
    async def release_order(self, request: ReleaseInput) -> Order:
        """End a live order without fulfilment; what it held can be sold again.

        Rejected is an order only while it has no session: with one that an earlier attempt recorded it goes on.
        """
        closes = [OrderStatus.PENDING] if request.status is OrderStatus.REJECTED else LIVE
        async with transaction(self._engine, Step.RELEASE_ORDER) as connection:
            return await orders.close_order(connection, request.order_id, request.status, request.reason, closes=closes)
