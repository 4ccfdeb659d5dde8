"""The shapes of HTTP requests and answers. Amounts are integer minor units, instants RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated, Any, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    field_validator,
)

from checkout.orders import CartLine, OrderStatus, Reason

MAX_LINES = 50
MAX_QUANTITY = 99

Sku = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
_PLAIN = r"^[^\x00-\x1f\x7f]*$"  # one line of text
_IMAGE = r"^(|/[!-.0-~][!-~]*|https://[a-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?)$"  # as `shop.guard_picture` has it


def _email(text: str) -> str:
    """As it is written everywhere (the domain in lower case), so that an order's fingerprint does not depend on how."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z]{3}$")]


class CartItem(BaseModel):
    """`expected_unit_amount` and `expected_currency` are the price the buyer saw (`GET /products`). They set none: when
    it is another by now, the answer is 409 `price-changed`, with the new one."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    quantity: Annotated[StrictInt, Field(ge=1, le=MAX_QUANTITY)]
    expected_unit_amount: Annotated[StrictInt, Field(ge=1, le=2**53)] | None = None
    expected_currency: Currency | None = None


class CheckoutRequest(BaseModel):
    """A cart. Without a body it is one `pen`. Prices are the catalogue's."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"items": [{"sku": "pen", "quantity": 2}]}})

    items: Annotated[list[CartItem], Field(min_length=1, max_length=MAX_LINES)] = [CartItem(sku="pen", quantity=1)]
    email: Email | None = None

    @field_validator("items")
    @classmethod
    def _each_sku_once(cls, items: list[CartItem]) -> list[CartItem]:
        seen: set[str] = set()
        for item in items:
            if item.sku in seen:
                raise ValueError(f"{item.sku} is listed twice; add the quantities up")
            seen.add(item.sku)
        return items

    def lines(self) -> list[CartLine]:
        return [
            CartLine(item.sku, item.quantity, item.expected_unit_amount, item.expected_currency) for item in self.items
        ]


class CheckoutAnswer(BaseModel):
    """Where to pay. Byte-identical whenever the same key is sent again."""

    checkout_key: str
    order_id: str
    session_id: str
    payment_url: str
    amount_total: int
    currency: str
    expires_at: str
    submit_payment: str | None = Field(None, description="Only with the payment mock: the curl line that pays.")
    cancel_payment: str | None = Field(None, description="Only with the payment mock: the curl line that cancels.")


class CheckoutPending(BaseModel):
    """202: the checkout has begun, its session is not there yet. Post the key again to go on waiting."""

    checkout_key: str
    status: Literal["pending"] = "pending"


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
    """`url` only while it can be paid."""

    status: Literal["none", "pending", "processing", "paid", "refund_due", "refunded", "not_paid"]
    session_id: str | None = None
    url: str | None = None
    expires_at: datetime


class DispatchOut(BaseModel):
    """`progress` from 0 to 1, derived from time."""

    status: Literal["waiting", "on_its_way", "dispatched", "none"]
    progress: float
    due_at: datetime | None = None


class TimelineEvent(BaseModel):
    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class OrderOut(BaseModel):
    order_id: str
    status: OrderStatus
    reason: Reason | None
    lines: list[OrderLineOut]
    amount_total: int
    currency: str
    created_at: datetime
    payment: PaymentOut
    dispatch: DispatchOut
    timeline: list[TimelineEvent]


class CancelAnswer(BaseModel):
    order_id: str
    status: OrderStatus
    reason: Reason | None


class Restock(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: Sku
    quantity: Annotated[StrictInt, Field(ge=1, le=1_000_000)]


class WriteOff(Restock):
    reason: Annotated[str, StringConstraints(strict=True, max_length=200, pattern=_PLAIN)] | None = None


class Available(BaseModel):
    """What can be sold now."""

    sku: str
    available: int


class ProductIn(BaseModel):
    """A product as an operator writes it. `unit_amount` in minor units of `currency` (ISO 4217, lower case).

    Name and amount are what the payment service takes (`checkout.limits`).
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "Pen", "unit_amount": 1000, "currency": "usd"}}
    )

    name: Annotated[str, StringConstraints(strict=True, pattern=_PLAIN)]
    description: Annotated[str, StringConstraints(strict=True, max_length=500, pattern=_PLAIN)] = ""
    image: Annotated[str, StringConstraints(strict=True, max_length=500, pattern=_IMAGE)] = ""
    unit_amount: StrictInt
    currency: Currency


class CatalogueProduct(ProductOut):
    """As the operator sees it: also when it is no longer sold."""

    withdrawn: bool


class OrderSummary(BaseModel):
    order_id: str = Field(validation_alias="id")
    checkout_key: str
    status: OrderStatus
    reason: Reason | None
    amount_total: int
    currency: str
    created_at: datetime
    updated_at: datetime


class OrderPage(BaseModel):
    """`next` is the cursor to pass as `after` for older orders, or null at the end."""

    orders: list[OrderSummary]
    next: str | None


class ProblemOut(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
