"""Style sheets, scripts and pictures: ours, and those of Swagger UI (`/docs`), which no CDN has to bring.

`/static/shop.css?v=<hash>` never changes and may be kept for ever. Without the right hash (a script's import, say) a
browser asks whether its copy is still good, so that a page never mixes two versions.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

_FILES = StaticFiles(directory=Path(__file__).parent / "static", packages=[("fastapi_offline", "static")])
# A picture opened by itself is a document: it may style itself, and do nothing else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@cache
def _versions() -> dict[str, str]:
    """The hash of each file's content, by its path under `/static/`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for folder in map(Path, _FILES.all_directories)
        for path in folder.rglob("*.*")
    }


def asset_url(name: str) -> str:
    """Raises `KeyError` for a file that is not there: a template's mistake."""
    return f"/static/{name}?v={_versions()[name]}"


def picture_url(image: str) -> str:
    """A product's picture: ours with its version; any other address as the catalogue has it."""
    name = image.removeprefix("/static/")
    return asset_url(name) if name != image and name in _versions() else image


def picture_origins(images: Iterable[str]) -> str:
    """Ours and the foreign origins of products' pictures, as a content security policy lists them. The database holds
    no picture with any other address (`guard_picture`)."""
    found = {match[0] for image in images if (match := re.match(r"https://[a-z0-9.-]+(:[0-9]{1,5})?(?=/|$)", image))}
    return " ".join(["'self'", *sorted(found)])


@router.get("/static/{name:path}")
async def static(name: str, request: Request, v: str = "") -> Response:
    response = await _FILES.get_response(name, request.scope)
    is_this = v == _versions().get(name)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_this else "no-cache"
    response.headers["Content-Security-Policy"] = _POLICY
    return response
