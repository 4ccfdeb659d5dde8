"""`/docs`: the API's description, in Swagger UI served from here.

FastAPI's own page loads its script from a CDN: nothing is seen without the internet, and a foreign script would run
where operators sign in. The files are those of the package `fastapi-offline`.
"""

from importlib.resources import files

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


@router.get("/docs")
async def docs() -> Response:
    return page("docs.html", headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    if name not in _FILES:
        raise HTTPException(404, "There is no such file")
    path = str(files("fastapi_offline") / "static" / name)
    return FileResponse(path, headers={"Cache-Control": "public, max-age=86400"})
