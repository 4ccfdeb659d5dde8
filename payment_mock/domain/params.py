"""What a request may say: Stripe's parameters as models, and what breaks one as Stripe's error, which names it
(docs.stripe.com/api/checkout/sessions/create and siblings). Values come as text, arrays as numbered keys (`form`)."""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from payment_mock.domain import errors, form
from payment_mock.domain.money import MOST_OF_ALL

_INTEGER = re.compile(r"-?[0-9]{1,12}")
_CODES = ("parameter_invalid_integer", "url_invalid", "email_invalid")  # of ours, which are also Stripe's


def _refuse(kind: str, told: str) -> PydanticCustomError:
    return PydanticCustomError(kind, "{told}", {"told": told})


def _integer(value: Any) -> int:
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise _refuse("parameter_invalid_integer", f"Invalid integer: {value}")
    return int(value)


def _array(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        raise _refuse("array", "Invalid array")
    numbers = [key for key in value if key != ""]
    if not all(key.isascii() and key.isdigit() and len(key) < 6 for key in numbers):
        raise _refuse("array", "Invalid array")
    return [*value.get("", ()), *(value[key] for key in sorted(numbers, key=int))]


def _email(value: str) -> str | None:
    if value and ("@" not in value.strip("@") or " " in value):
        raise _refuse("email_invalid", f"Invalid email address: {value}")
    return value or None


def is_address(url: str) -> bool:
    """Only http and https: a `javascript:` link on the payment page would be a script in our page's name."""
    if len(url) > 5000 or any(ord(letter) <= 32 for letter in url):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _address(value: str) -> str:
    if not is_address(value):
        raise _refuse("url_invalid", "Not a valid URL")
    return value


def _expandable(*known: str, below: str = "") -> AfterValidator:
    def check(paths: list[str]) -> list[str]:
        for path in paths:
            if path.removeprefix(below) not in known or not path.startswith(below):
                raise _refuse("expand", f"This property cannot be expanded ({path}).")
        return [path.removeprefix(below) for path in paths]

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(max_length=5000)]
Integer = Annotated[int, BeforeValidator(_integer)]
Amount = Annotated[Integer, Field(ge=1, le=MOST_OF_ALL)]
Address = Annotated[Text, AfterValidator(_address)]
Strings = Annotated[list[str], BeforeValidator(_array)]
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=40)], Annotated[str, StringConstraints(max_length=500)]],
    BeforeValidator(lambda value: {} if value == "" else value),
    Field(max_length=50),
    AfterValidator(lambda values: {name: value for name, value in values.items() if value}),
]
SESSION_PATHS = ("payment_intent", "payment_intent.latest_charge", "line_items")


class Params(BaseModel, extra="forbid", frozen=True):
    @classmethod
    def of(cls, given: form.Form) -> Self:
        """Raises `StripeError` (400) that names the parameter."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _refusal(error) from None


def _refusal(error: ValidationError) -> errors.StripeError:
    found = error.errors(include_url=False, include_input=False)
    first = min(found, key=lambda each: each["type"] != "extra_forbidden")
    outer, *inner = [part for part in first["loc"] if part != "[key]"]
    name = f"{outer}{''.join(f'[{part}]' for part in inner)}"
    match first["type"]:
        case "missing":
            return errors.missing(name)
        case "extra_forbidden":
            told = f"Received unknown parameter: {name}"
            return errors.invalid_request(told, param=name, code="parameter_unknown")
    code = first["type"] if first["type"] in _CODES else None
    told = first["msg"] if code else f"Invalid {name}: {first['msg']}"
    return errors.invalid_request(told, param=name, code=code)


class _ProductData(Params):
    name: Annotated[str, StringConstraints(min_length=1, max_length=250)]
    description: Text | None = None
    images: Strings = []
    metadata: Metadata = {}


class _PriceData(Params):
    currency: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z]{3}\z")]
    unit_amount: Annotated[Integer, Field(ge=0, le=MOST_OF_ALL)]
    product_data: _ProductData
    tax_behavior: Text | None = None


class _LineItem(Params):
    price_data: _PriceData
    quantity: Annotated[Integer, Field(ge=1, le=999_999)]


class _IntentData(Params):
    metadata: Metadata = {}
    description: Text | None = None


class Expand(Params):
    """Of a session."""

    expand: Annotated[Strings, _expandable(*SESSION_PATHS)] = []


class NewSession(Expand):
    mode: Literal["payment"]  # all that this simulator supports
    line_items: Annotated[list[_LineItem], BeforeValidator(_array), Field(min_length=1, max_length=100)]
    success_url: Address
    cancel_url: Address | None = None
    client_reference_id: Annotated[str, StringConstraints(max_length=200)] | None = None
    metadata: Metadata = {}
    expires_at: Integer | None = None
    payment_method_types: Annotated[
        list[Literal["card", "link", "us_bank_account", "sepa_debit"]], BeforeValidator(_array)
    ] = []
    customer_email: Annotated[str, StringConstraints(max_length=800), AfterValidator(_email)] | None = None
    payment_intent_data: _IntentData = _IntentData()
    locale: Text | None = None
    submit_type: Text | None = None


class ExpandIntent(Params):
    expand: Annotated[Strings, _expandable("latest_charge")] = []


class NewRefund(Params):
    payment_intent: Text | None = None
    charge: Text | None = None
    amount: Amount | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    metadata: Metadata = {}
    expand: Strings = []

    @classmethod
    def of(cls, given: form.Form) -> Self:
        new = super().of(given)
        if new.payment_intent is None and new.charge is None:
            raise errors.invalid_request(
                "One of the following params should be provided for this request: payment_intent or charge."
            )
        return new


class Response(Params):
    """To a dispute."""

    evidence: dict[Text, Text] = {}
    submit: Literal["true", "false"] = "true"
    metadata: Metadata = {}
    expand: Strings = []


class _Span(Params):
    gt: Integer | None = Field(None, serialization_alias=">")
    gte: Integer | None = Field(None, serialization_alias=">=")
    lt: Integer | None = Field(None, serialization_alias="<")
    lte: Integer | None = Field(None, serialization_alias="<=")


def _span(value: Any) -> Any:
    """`created=…` is the same as from there to there."""
    return value if isinstance(value, dict) else {"gte": value, "lte": value}


class Listed(Params):
    """A page of a list: `limit` objects that come after the one with the id `starting_after`."""

    limit: Annotated[Integer, Field(ge=1, le=100)] = 10
    starting_after: Text | None = None

    def where(self) -> dict[str, Any]:
        """What is compared, as in `{"status =": "open", "created >": 0}`."""
        given = self.model_dump(exclude={*Listed.model_fields, "expand"}, exclude_none=True, by_alias=True)
        span = given.pop("created", {})
        return {f"{name} =": value for name, value in given.items()} | {
            f"created {how}": to for how, to in span.items()
        }


class ListedSessions(Listed):
    status: Literal["open", "complete", "expired"] | None = None
    payment_intent: Text | None = None
    created: Annotated[_Span, BeforeValidator(_span)] = _Span()
    expand: Annotated[Strings, _expandable(*SESSION_PATHS, below="data.")] = []


class ListedReversals(Listed):
    payment_intent: Text | None = None
    charge: Text | None = None


class ListedEvents(Listed):
    """`type` or `types[]`, with a trailing `*` left to real Stripe."""

    type: Text | None = None
    types: Strings = []

    def where(self) -> dict[str, Any]:
        types = self.types if self.type is None else [*self.types, self.type]
        return {"type = ANY": types} if types else {}
