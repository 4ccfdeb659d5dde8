"""The OpenAPI description, completed with what FastAPI cannot see: every error is an RFC 9457 problem (`api.problems`),
and the checkout's body is read by hand. That it tells the truth, `tests/security/test_fuzz_gateway.py` holds."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from api.problems import MEDIA_TYPE
from api.schemas import CheckoutRequest, ProblemOut

_REFERENCE = "#/components/schemas/{model}"
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def declared(problems: Mapping[int, str] | Mapping[str, str]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: its own problems by status, each with its description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="ProblemOut")}}}
    return {status: {"description": description, "content": content} for status, description in problems.items()}


class DescribedApi(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            described = super().openapi()
            for path, operations in described["paths"].items():
                for method, operation in operations.items():
                    _declare_problems(path, method, operation)
            _, ours = models_json_schema(
                [(CheckoutRequest, "validation"), (ProblemOut, "serialization")], ref_template=_REFERENCE
            )
            shapes = described["components"]["schemas"]
            shapes |= ours["$defs"]
            for name in _FASTAPIS_OWN:
                shapes.pop(name, None)
        return self.openapi_schema or {}


def _declare_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add the problems that any route of this kind may answer; what the route declares itself stays."""
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    problems = {"408": "The request was not sent in time.", "431": "The request's head is too long."}
    if path not in ("/livez", "/metrics"):  # these ask nobody and take nothing
        problems["503"] = "PostgreSQL or Temporal is away; repeating is safe."
        if operation.get("parameters") or "requestBody" in operation or "{" in path:
            problems |= {"400": "Not HTTP, JSON or text as it should be.", "422": "A field is wrong, by name."}
        if "{" in path:
            problems["404"] = "There is no such thing; the same for every unknown id."
        if path.startswith(("/admin", "/codec")):
            problems |= {"401": "The operator token is missing or wrong.", "429": "Too many wrong tokens."}
        if method != "get":
            problems |= {"403": "Sent by another site's page.", "413": "The body is too long."}
    for status, response in declared(problems).items():
        responses.setdefault(status, response)
