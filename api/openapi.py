"""The OpenAPI description and the page that shows it. FastAPI cannot see that every error is an RFC 9457 problem
(`api.problems`), and that the checkout's body is read by hand. That the description tells the truth,
`tests/security/test_fuzz_gateway.py` holds."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from api.carts import CheckoutRequest
from api.problems import MEDIA_TYPE, ProblemOut
from api.web.rendering import page

router = APIRouter(include_in_schema=False)

_REFERENCE = "#/components/schemas/{model}"
# Swagger UI styles its elements one by one and draws its icons from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)


@router.get("/docs")
async def docs() -> Response:
    """Swagger UI from here: FastAPI's own page loads it from a CDN, and a foreign script would run where operators sign
    in."""
    return page("docs.html", headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})


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
            shapes = described["components"]["schemas"]
            for fastapis_own in ("HTTPValidationError", "ValidationError"):
                del shapes[fastapis_own]
            _, ours = models_json_schema(
                [(CheckoutRequest, "validation"), (ProblemOut, "serialization")], ref_template=_REFERENCE
            )
            shapes |= ours["$defs"]
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
