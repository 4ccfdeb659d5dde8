"""Style sheets, scripts and pictures. One asked for by its hash (`/static/shop.css?v=…`) may be kept for ever; else (a
script's import, say) a browser asks whether its copy is still good, so that a page never mixes two versions."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# A picture opened by itself is a document: it may style itself, and do nothing else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    version: str


@cache
def held(folder: Path = _FOLDER) -> dict[str, Asset]:
    """Every file by its path under `/static/`, in memory: a release installed over a running one changes none of
    them."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    return {name: _read(path) for name, path in paths.items() if path.suffix in _MEDIA_TYPES}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, _MEDIA_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])


def asset_url(name: str) -> str:
    """Raises `KeyError` for a file that is not there: a template's mistake."""
    return f"/static/{name}?v={held()[name].version}"


def picture_url(image: str) -> str:
    """A product's picture: ours with its version; any other address as the catalogue has it."""
    name = image.removeprefix("/static/")
    return asset_url(name) if name != image and name in held() else image


def picture_origins(images: Iterable[str]) -> str:
    """Ours and the foreign origins of products' pictures, as a content security policy lists them. The database holds
    no picture with any other address (`guard_picture`)."""
    found = {match[0] for image in images if (match := re.match(r"https://[a-z0-9.-]+(:[0-9]{1,5})?(?=/|$)", image))}
    return " ".join(["'self'", *sorted(found)])


@router.get("/static/{name:path}")
async def static(name: str, request: Request, v: str = "") -> Response:
    asset = held().get(name)
    if asset is None:
        raise HTTPException(404, "There is no such file")
    headers = {
        "ETag": f'"{asset.version}"',
        "Cache-Control": "public, max-age=31536000, immutable" if v == asset.version else "no-cache",
        "Content-Security-Policy": _POLICY,
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
