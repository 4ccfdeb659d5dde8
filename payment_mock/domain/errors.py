"""Stripe's error objects (docs.stripe.com/api/errors). There is one class, for to a client only the object on the wire
tells them apart; and a subclass for what the simulator itself looks at (`payments.NotPayable`, for one)."""

from typing import Any


class StripeError(Exception):
    """An answer that is an error."""

    def __init__(
        self, status: int, type_: str, message: str, *, code: str | None = None, param: str | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        doc_url = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}" if code else None
        fields = {"type": type_, "message": message, "code": code, "doc_url": doc_url, "param": param, **more}
        self.error = {name: value for name, value in fields.items() if value}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def invalid_request(
    message: str, *, param: str | None = None, code: str | None = None, status: int = 400
) -> StripeError:
    return StripeError(status, "invalid_request_error", message, code=code, param=param)


def missing(param: str) -> StripeError:
    return invalid_request(f"Missing required param: {param}.", param=param, code="parameter_missing")


def no_such(kind: str, identifier: str, param: str = "id") -> StripeError:
    return invalid_request(f"No such {kind}: '{identifier}'", param=param, code="resource_missing", status=404)


def api_error(status: int = 500, message: str = "An unknown error occurred.") -> StripeError:
    """What Stripe says when it failed itself, and what the control plane makes it say."""
    match status:
        case 429:
            told = "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits."
            return invalid_request(told, code="rate_limit", status=429)
        case 409:
            told = (
                "This object cannot be accessed right now because another API request or Stripe process is currently "
                "accessing it. If you see this error intermittently, retry the request."
            )
            return invalid_request(told, code="lock_timeout", status=409)
    if status < 500:
        return invalid_request("The request was refused by a planted fault.", status=status)
    return StripeError(status, "api_error", message)
