"""The OpenAPI description, completed with what FastAPI cannot see: the checkout's body is read by hand.

It is read by hand because it is optional, bounded, and may be JSON or a browser's form.
"""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from api.schemas import CheckoutRequest, ProblemOut

_REFERENCE = "#/components/schemas/{model}"


def install(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            _, definitions = models_json_schema(
                [(CheckoutRequest, "validation"), (ProblemOut, "serialization")], ref_template=_REFERENCE
            )
            schema["components"]["schemas"] |= definitions["$defs"]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI documents this as the way to extend it
