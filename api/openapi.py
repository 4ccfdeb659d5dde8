"""The OpenAPI description, completed with what FastAPI cannot see, so that it tells the truth.

The checkout's body is read by hand, because it is optional, bounded, and may be JSON or a browser's form. And every
error is an RFC 9457 problem, made in one place (`api.problems`), while FastAPI would declare one of its own. Held by
`tests/security/test_fuzz_gateway.py`.
"""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from api.schemas import CheckoutRequest, ProblemOut

_REFERENCE = "#/components/schemas/{model}"
_PROBLEM = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(model="ProblemOut")}}}
_METHODS = ("get", "put", "post", "delete", "patch")
# These ask nobody and take nothing.
_ALWAYS_ANSWERED = ("/livez", "/metrics")
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            _, definitions = models_json_schema(
                [(CheckoutRequest, "validation"), (ProblemOut, "serialization")], ref_template=_REFERENCE
            )
            schemas = schema["components"]["schemas"]
            schemas |= definitions["$defs"]
            for path, operations in schema["paths"].items():
                for method in set(_METHODS) & set(operations):
                    _declare_problems(path, method, operations[method])
            for name in _FASTAPIS_OWN:
                schemas.pop(name, None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI documents this as the way to extend it


def _declare_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add the problems that any route of this kind may answer; what the route declares itself stays."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    for status, description in _problems(path, method, operation).items():
        responses.setdefault(status, {"description": description, "content": _PROBLEM})


def _problems(path: str, method: str, operation: dict[str, Any]) -> dict[str, str]:
    found = {
        "408": "The request was not sent in time.",
        "431": "The request's head is too long.",
    }
    if path in _ALWAYS_ANSWERED:
        return found
    found |= {"503": "PostgreSQL or Temporal is away; repeating is safe."}
    if operation.get("parameters") or "requestBody" in operation or "{" in path:
        found |= {"400": "Not HTTP, JSON or text as it should be.", "422": "A field is wrong, by name."}
    if "{" in path:
        found |= {"404": "There is no such thing; the same for every unknown id."}
    if path.startswith(("/admin", "/codec")):
        found |= {"401": "The operator token is missing or wrong.", "429": "Too many wrong tokens."}
    if method != "get":
        found |= {"403": "Sent by another site's page.", "413": "The body is too long."}
    return found
