"""The error tree: all errors of ours that one room raises and another reads. A domain error carries a code; the HTTP
status that goes with it belongs to `api`.

    CheckoutError
    ├── SettingsError               the environment is wrong: names the variable
    ├── InvalidKey                  not an idempotency key
    ├── PaymentError
    │   ├── PaymentRefused          the provider says no, and will say no again (4xx): a bad request, a bad key
    │   │   └── PaymentUnknown      it has no such session or payment (404)
    │   ├── PaymentStuck            the provider repeats a stored error for our idempotency key
    │   └── PaymentUnreachable      no answer, or "try again" (timeout, 409 in flight, 429, 5xx): ask with the same key
    ├── WrongCart                   no order can be opened for it as it is
    │   ├── ProductNotFound         a SKU that the catalogue does not know (an operator's, too)
    │   ├── MixedCurrencies         its products are sold in more than one currency
    │   ├── PriceChanged            a product does not cost what its buyer saw; names it and what it costs now
    │   └── BeyondPaymentLimits     the payment service would not take it: too little, too much, a name too long
    ├── UnstorableData              text or a number that PostgreSQL cannot hold (SQLSTATE class 22), now or later
    ├── NotEnoughStock              more to be written off than can be sold: what orders have reserved is theirs
    ├── KeyReused                   a key that stands for another cart, or another refund: the first one is untouched
    ├── WritesRefused               PostgreSQL answers, and can store nothing for now: read-only, or its disk is full
    ├── OrderNotFound
    ├── NotRefundable               an order that was not paid, whose money has been given back, or which is disputed
    │   ├── RefundExceedsPayment    more than is left of the payment
    │   └── RefundLinesExceedOrder  more goods than were bought and not refunded yet
    ├── CannotFulfil                a paid order whose goods are not there: roll back, and give the money back
    ├── PayloadKeyMissing           a payload of Temporal's that is encrypted with a key we do not have
    └── StackError                  `checkout up` cannot start, or cannot go on (`stack.errors`): one sentence, exit 1
        ├── DataDirInUse            another stack runs on this data directory
        ├── PortTaken               somebody listens where a part wants to
        ├── ProgramMissing          a server's binary is not in this environment
        └── PartFailed              a part died, or did not answer in time, before it ever worked

Temporal matches retries on the class name, so a name here is part of the recorded histories.
"""

import re
from collections.abc import Sequence
from typing import ClassVar


class CheckoutError(Exception):
    """Base of every error of ours. `code` is stable and machine-readable; unless it is said, it is the class's name:
    `OrderNotFound` is `order-not-found`."""

    code: ClassVar[str] = "checkout-error"

    def __init_subclass__(cls) -> None:
        if "code" not in vars(cls):
            cls.code = re.sub(r"\B(?=[A-Z])", "-", cls.__name__).lower()


class SettingsError(CheckoutError):
    code = "settings"


class InvalidKey(CheckoutError): ...


class PaymentError(CheckoutError): ...


class PaymentRefused(PaymentError): ...


class PaymentUnknown(PaymentRefused): ...


class PaymentStuck(PaymentError):
    """The provider saved an error under our idempotency key and replays it for a day, whatever was mended meanwhile
    (Stripe, "Idempotent requests"). Under another key it could be had, if nothing came of this one."""


class PaymentUnreachable(PaymentError): ...


class WritesRefused(CheckoutError): ...


class OrderNotFound(CheckoutError): ...


class WrongCart(CheckoutError): ...


class ProductNotFound(WrongCart):
    def __init__(self, skus: Sequence[str]) -> None:
        super().__init__(f"No such product: {', '.join(skus)}")


class MixedCurrencies(WrongCart): ...


class PriceChanged(WrongCart): ...


class BeyondPaymentLimits(WrongCart): ...


class UnstorableData(CheckoutError): ...


class NotEnoughStock(CheckoutError):
    def __init__(self, sku: str, available: int) -> None:
        super().__init__(f"{available} of {sku} can be written off")
        self.available = available


class CannotFulfil(CheckoutError): ...


class KeyReused(CheckoutError):
    code = "idempotency-key-reused"


class NotRefundable(CheckoutError): ...


class RefundExceedsPayment(NotRefundable): ...


class RefundLinesExceedOrder(NotRefundable): ...


class PayloadKeyMissing(CheckoutError): ...
