"""The shapes of HTTP requests and answers. Amounts are integer minor units, instants RFC 3339 in UTC."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StrictInt, StringConstraints, model_validator

from checkout.money import RefundState, RequestedBy
from checkout.orders import OrderStatus, Reason

MAX_LINES = 50
MAX_QUANTITY = 99
_IMAGE = r"^(|/[!-.0-~][!-~]*|https://[a-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?)$"  # as `shop.guard_picture` has it


Sku = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{3}$")]
Amount = Annotated[StrictInt, Field(ge=1, le=2**53)]
Quantity = Annotated[StrictInt, Field(ge=1, le=MAX_QUANTITY)]
OneLine = Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ProductOut(BaseModel):
    sku: str
    name: str
    description: str
    image: str
    unit_amount: int
    currency: str
    available: int


class ProductList(BaseModel):
    """`next` is the cursor to pass as `after` for the products behind, or null at the end."""

    products: list[ProductOut]
    next: str | None


class OrderLineOut(BaseModel):
    sku: str
    name: str
    quantity: int
    unit_amount: int


class PaymentOut(BaseModel):
    """`url` only while it can be paid. `processing_until`: how long the stock is held for a payment that takes days.

    Minor units: what was `paid`, what of it has been `refunded`, what is on its way back (`refund_pending`), what a
    bank has taken back (`lost`), and what the shop has `kept`, which is the rest of it once all that is under way has
    come to its end.
    """

    status: Literal["none", "pending", "processing", "paid", "refund_due", "refunded", "not_paid"]
    session_id: str | None = None
    url: str | None = None
    expires_at: datetime
    processing_until: datetime | None = None
    paid: int = 0
    refunded: int = 0
    refund_pending: int = 0
    lost: int = 0
    kept: int = 0


class RefundedLine(BaseModel):
    """`restocked`: the goods are back in stock."""

    sku: str
    quantity: int
    restocked: bool


class RefundOut(BaseModel):
    """Money given back. `succeeded` is the payment service's word, and may still become `failed`: then it is tried
    again, which is another refund."""

    id: str
    amount: int
    state: RefundState
    reason: str | None = None
    at: datetime
    lines: list[RefundedLine] = []


class OperatorRefund(RefundOut):
    """`attempt` counts those of one wish. `is_taken`: the payment service has it, whatever became of it there.
    `requires_action`: the payment service waits for its customer."""

    requested_by: RequestedBy
    attempt: int
    is_taken: bool
    requires_action: bool
    failure_reason: str | None = None


class DisputeOut(BaseModel):
    """A bank asks for the money back, or has taken it; `state` is the payment service's word for how it stands."""

    id: str
    amount: int
    state: str
    is_open: bool
    at: datetime


class OperatorDispute(DisputeOut):
    """Evidence is heard until `evidence_due_by`, at the payment service."""

    reason: str
    evidence_due_by: datetime | None = None


class DispatchOut(BaseModel):
    """`progress` from 0 to 1, derived from time. `held`: not before its money is settled."""

    status: Literal["waiting", "on_its_way", "held", "dispatched", "none"]
    progress: float
    due_at: datetime | None = None


class TimelineEvent(BaseModel):
    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class TimelineEntry(TimelineEvent):
    """`text` says it in words."""

    text: str = ""


class OrderOut(BaseModel):
    order_id: str
    status: OrderStatus
    reason: Reason | None
    lines: list[OrderLineOut]
    amount_total: int
    currency: str
    created_at: datetime
    payment: PaymentOut
    refunds: Sequence[RefundOut] = []
    disputes: Sequence[DisputeOut] = []
    dispatch: DispatchOut
    timeline: list[TimelineEntry]


class OperatorOrder(OrderOut):
    """`on_hold`: not dispatched while its money is disputed, or all of it asked back."""

    refunds: Sequence[OperatorRefund] = []
    disputes: Sequence[OperatorDispute] = []
    on_hold: bool = False


class RefundLineIn(BaseModel, extra="forbid"):
    sku: Sku
    quantity: Quantity


class RefundIn(
    BaseModel,
    extra="forbid",
    json_schema_extra={
        "example": {"lines": [{"sku": "pen", "quantity": 1}], "restock": False, "reason": "Arrived broken"}
    },
):
    """What to give back: an `amount` in minor units, or what `lines` cost; with neither, all that is left.

    `restock`: whether the goods return to stock; by default those of the lines do (of all that is left: all that have
    not returned yet). An amount moves no goods. The customer sees the `reason`.
    """

    amount: Amount | None = None
    lines: Annotated[list[RefundLineIn], Field(min_length=1, max_length=MAX_LINES)] | None = None
    restock: Annotated[bool, Field(strict=True)] | None = None
    reason: Annotated[OneLine, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.amount is not None and self.lines is not None:
            raise ValueError("amount and lines exclude each other: what the lines cost is given back")
        if self.amount is not None and self.restock:
            raise ValueError("an amount moves no goods: name the lines to have them return to stock")
        skus = [line.sku for line in self.lines or []]
        if len(set(skus)) < len(skus):
            raise ValueError("a line is listed twice; add the quantities up")
        return self


class CancelAnswer(BaseModel):
    order_id: str
    status: OrderStatus
    reason: Reason | None


class Restock(BaseModel, extra="forbid"):
    sku: Sku
    quantity: Annotated[StrictInt, Field(ge=1, le=1_000_000)]


class WriteOff(Restock):
    reason: Annotated[OneLine, Field(max_length=200)] | None = None


class Available(BaseModel):
    """What can be sold now."""

    sku: str
    available: int


class ProductIn(
    BaseModel,
    extra="forbid",
    json_schema_extra={"example": {"name": "Pen", "unit_amount": 1000, "currency": "usd"}},
):
    """A product as an operator writes it. `unit_amount` in minor units of `currency` (ISO 4217, lower case).

    Name and amount are what the payment service takes (`checkout.currencies`).
    """

    name: OneLine
    description: Annotated[OneLine, Field(max_length=500)] = ""
    image: Annotated[str, StringConstraints(strict=True, max_length=500, pattern=_IMAGE)] = ""
    unit_amount: StrictInt
    currency: Currency


class CatalogueProduct(ProductOut):
    """As the operator sees it: also when it is no longer sold."""

    withdrawn: bool
