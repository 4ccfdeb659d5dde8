"""What an operator may ask to be given back, as JSON and the console say it."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from api.carts import MAX_LINES, Amount, Quantity
from api.catalogue import OneLine, Sku
from api.problems import Problem
from checkout.contracts import RefundOrderInput
from checkout.ids import WHOLE_REFUND
from checkout.payments import RefundLine


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
    """What to give back: an `amount` in minor units, or what `lines` cost; with neither, all that is left. `restock`:
    whether the goods return to stock; by default those of the lines do (of all that is left: all that have not returned
    yet). An amount moves no goods. The customer sees the `reason`."""

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


def refund_wish(order_id: str, asked: RefundIn, key: str | None) -> RefundOrderInput:
    """Build the refund request. Without a key: one full refund an order. Raises a 400 `Problem` for a part without a
    key: a second one could not be told from a repeat."""
    if key is None and (asked.amount is not None or asked.lines is not None):
        raise Problem(
            400,
            "idempotency-key-missing",
            "A refund of a part needs an Idempotency-Key",
            "Send one that stands for this refund: repeating it with the same key never gives back more.",
        )
    lines = None if asked.lines is None else [RefundLine(line.sku, line.quantity) for line in asked.lines]
    return RefundOrderInput(order_id, key or WHOLE_REFUND, asked.amount, lines, asked.restock, asked.reason)
