"""Stripe's request bodies: form-encoded, nested with brackets (docs.stripe.com/api, "form-encoded request bodies").

line_items[0][price_data][currency]=usd&expand[]=payment_intent
→ {"line_items": {"0": {"price_data": {"currency": "usd"}}}, "expand": {"": ["payment_intent"]}}
"""

import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl

from payment_mock.domain.errors import invalid_request

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_MAX_FIELDS = 2000
_MAX_DEPTH = 6

Form = dict[str, Any]


def parse(encoded: bytes) -> Form:
    """Decode a body or a query string. Raises `StripeError` (400) when it is no such form."""
    form: Form = {}
    for name, value in _pairs(encoded):
        match = _KEY.match(name)
        if match is None:
            raise invalid_request(f"Invalid parameter name: {name[:100]}")
        path = [match[1], *match[2][1:-1].split("][")] if match[2] else [match[1]]
        if len(path) > _MAX_DEPTH:
            raise invalid_request("Parameters are nested too deeply.")
        _put(form, path, value, name[:100])
    return form


def fingerprint(path: str, encoded: bytes) -> str:
    """Equal for equal parameters in any order: what an idempotency key is compared by."""
    canonical = repr(sorted(_pairs(encoded)))
    return hashlib.sha256(f"{path}\n{canonical}".encode()).hexdigest()


def _pairs(encoded: bytes) -> list[tuple[str, str]]:
    try:
        found = parse_qsl(encoded.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise invalid_request("The request body is not a valid form.") from None
    for name, value in found:
        if "\0" in value or "\0" in name:  # PostgreSQL's text cannot hold it
            raise invalid_request("Invalid string: contains a null byte.", param=name.replace("\0", "")[:100])
    return found


def _put(into: Form, path: list[str], value: str, name: str) -> None:
    *parents, leaf = path
    for part in parents:
        into = into.setdefault(part, {})
        if not isinstance(into, dict):
            raise invalid_request(f"Invalid parameter: {name}", param=name)
    if leaf == "":  # expand[]=a&expand[]=b
        into.setdefault("", []).append(value)
    elif isinstance(into.get(leaf), dict):
        raise invalid_request(f"Invalid parameter: {name}", param=name)
    else:
        into[leaf] = value
