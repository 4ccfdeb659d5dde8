"""`/docs`: the API's description, in Swagger UI served from here.

FastAPI's own page loads its script from a CDN: nothing is seen without the internet, and a foreign script would run
where operators sign in. The files are those of the package `fastapi-offline`.
"""

import importlib.util
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from api.web.rendering import page

router = APIRouter(include_in_schema=False)

_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
# Swagger UI styles its elements one by one and draws its icons from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)


@cache
def _folder() -> Path:
    package = importlib.util.find_spec("fastapi_offline")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "static"


@router.get("/docs")
async def docs() -> Response:
    return page("docs.html", headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    if name not in _FILES:
        raise HTTPException(404, "There is no such file")
    return FileResponse(_folder() / name, headers={"Cache-Control": "public, max-age=86400"})
