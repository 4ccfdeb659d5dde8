"""The error tree. A domain error carries a code; the HTTP status that goes with it belongs to `api`.

    CheckoutError
    ├── SettingsError            the environment is wrong: names the variable
    ├── InvalidKey               not an idempotency key
    ├── PaymentError
    │   ├── PaymentRefused       the provider says no, and will say no again (4xx)
    │   │   └── PaymentUnknown   it has no such session or payment (404)
    │   ├── PaymentStuck         the provider repeats a stored 5xx for our idempotency key
    │   └── PaymentUnreachable   no answer, or "try again" (timeout, 409 in flight, 429, 5xx)
    └── OrderNotFound

Temporal matches retries on the class name, so a name here is part of the recorded histories.
"""


class CheckoutError(Exception):
    """Base of every error of ours. `code` is stable and machine-readable."""

    code = "checkout-error"


class SettingsError(CheckoutError):
    code = "settings"


class InvalidKey(CheckoutError):
    code = "invalid-key"


class PaymentError(CheckoutError):
    code = "payment-error"


class PaymentRefused(PaymentError):
    """Asking again cannot help: an invalid request, a bad key, no such object."""

    code = "payment-refused"


class PaymentUnknown(PaymentRefused):
    """The provider has no such session or payment. Unlike a refusal of our key, this says something about it."""

    code = "payment-unknown"


class PaymentStuck(PaymentError):
    """The provider saved a 5xx under our idempotency key and replays it (Stripe: "Idempotent requests")."""

    code = "payment-stuck"


class PaymentUnreachable(PaymentError):
    """Nobody knows whether it happened. Ask again, with the same idempotency key."""

    code = "payment-unreachable"


class OrderNotFound(CheckoutError):
    code = "order-not-found"
