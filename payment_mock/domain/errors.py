"""Stripe's error objects: `{"error": {"type", "code", "message", "param"}}` (docs.stripe.com/api/errors).

    StripeError                   carries status, type, code, param
    ├── invalid_request()         400, or 404 resource_missing, 401 without a code
    ├── idempotency_error()       400 other parameters, 409 in flight (docs.stripe.com/api/idempotent_requests)
    ├── card_error()              402
    └── api_error()               5xx, and 429 rate_limit

One class and four constructors: to a client only the object on the wire tells errors apart.
"""

from typing import Any


class StripeError(Exception):
    """An answer that is an error. `stored` says whether an idempotency key remembers it."""

    def __init__(
        self, status: int, type_: str, message: str, *, code: str | None = None, param: str | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"type": type_, "message": message}
        if code:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param:
            self.error["param"] = param
        self.error.update(more)

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def invalid_request(
    message: str, *, param: str | None = None, code: str | None = None, status: int = 400
) -> StripeError:
    return StripeError(status, "invalid_request_error", message, code=code, param=param)


def missing(param: str) -> StripeError:
    return invalid_request(f"Missing required param: {param}.", param=param, code="parameter_missing")


def unknown(param: str) -> StripeError:
    return invalid_request(f"Received unknown parameter: {param}", param=param, code="parameter_unknown")


def no_such(kind: str, identifier: str, param: str = "id") -> StripeError:
    return invalid_request(f"No such {kind}: '{identifier}'", param=param, code="resource_missing", status=404)


def idempotency_mismatch(key: str) -> StripeError:
    return StripeError(
        400,
        "idempotency_error",
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
    )


def idempotency_other_endpoint(key: str, first: str, now: str) -> StripeError:
    return StripeError(
        400,
        "idempotency_error",
        "Keys for idempotent requests can only be used for the same endpoint they were first used for "
        f"('{now}' vs '{first}'). Try using a key other than '{key}' if you meant to execute a different request.",
    )


def idempotency_in_use(key: str) -> StripeError:
    return StripeError(
        409,
        "idempotency_error",
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key}. Please try again later.",
        code="idempotency_key_in_use",
    )


def card_declined(decline_code: str, message: str, payment_intent: str) -> StripeError:
    return StripeError(
        402,
        "card_error",
        message,
        code="card_declined",
        decline_code=decline_code,
        payment_intent={"id": payment_intent, "object": "payment_intent"},
    )


def api_error(status: int = 500, message: str = "An unknown error occurred.") -> StripeError:
    """What Stripe says when it failed itself, and what the control plane makes it say."""
    if status == 429:
        return StripeError(
            429,
            "invalid_request_error",
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            code="rate_limit",
        )
    if status == 409:
        return StripeError(
            409,
            "invalid_request_error",
            "This object cannot be accessed right now because another API request or Stripe process is currently "
            "accessing it. If you see this error intermittently, retry the request.",
            code="lock_timeout",
        )
    if 400 <= status < 500:
        return invalid_request("The request was refused by a planted fault.", status=status)
    return StripeError(status, "api_error", message)
