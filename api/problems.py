"""Answers that are errors: RFC 9457 problems, rendered by `api.errors`. They name what the client can act on and never
quote internals: no SQL, no stack, no secrets."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds


class Problem(Exception):
    """An answer that is an error. `code` becomes the last part of `type` and stays stable."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(title)
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> JSONResponse:
        body = {
            "type": f"urn:problem:checkout:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            **({"detail": self.detail} if self.detail else {}),
            **self.members,
        }
        return JSONResponse(body, self.status, self.headers, media_type=MEDIA_TYPE)


def unavailable(detail: str) -> Problem:
    return Problem(503, "unavailable", "Not available at the moment", detail, headers={"Retry-After": str(RETRY_AFTER)})


def malformed_json(detail: str | None = None) -> Problem:
    return Problem(400, "malformed-json", "The body is not valid JSON", detail)


def invalid(errors: list[dict[str, str]]) -> Problem:
    """422 with every field that is wrong: `errors` is a list of `{field, message}`."""
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return Problem(422, "invalid-request", "The request is not valid", detail, errors=errors)


def invalid_fields(error: ValidationError | RequestValidationError) -> Problem:
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return malformed_json()
    return invalid([{"field": _field(item["loc"]), "message": str(item["msg"])} for item in error.errors()[:20]])


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "items", 0, "sku")` → `items[0].sku`."""
    path = ""
    for part in location:
        if part in ("body", "query", "path", "header") and not path:
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "body"


def echo(request: Request, headers: Mapping[str, str]) -> None:
    """Headers that whatever answer `request` gets will have, also one that is an error."""
    request.state.echoed = dict(headers)


def echoed(request: Request) -> dict[str, str]:
    headers: dict[str, str] = getattr(request.state, "echoed", {})
    return headers
