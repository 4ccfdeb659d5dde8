"""Style sheets and scripts: a browser keeps what is still good, and nothing else, whichever gateway it asks."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.web import assets


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(assets.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize("name", ["shop.css", "page.js", "products/pen.svg", "swagger-ui/swagger-ui.css"])
async def test_a_file_is_known_by_its_content_alone(client: httpx.AsyncClient, name: str) -> None:
    first = await client.get(f"/static/{name}")
    version = hashlib.sha256(first.content).hexdigest()[:12]
    assert (first.status_code, first.headers["etag"]) == (200, f'"{version}"')
    assert "last-modified" not in first.headers, "two gateways were installed at different times"
    again = await client.get(f"/static/{name}", headers={"If-None-Match": f'"{version}"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", f'"{version}"')
    assert (await client.get(f"/static/{name}", headers={"If-None-Match": '"another"'})).status_code == 200
    assert assets.asset_url(name) == f"/static/{name}?v={version}"
    kept = [(await client.get(f"/static/{name}?v={v}")).headers["cache-control"] for v in ("", "another", version)]
    assert kept == ["no-cache", "no-cache", "public, max-age=31536000, immutable"]


def test_swagger_ui_is_as_it_was_published() -> None:
    folder = Path(assets.__file__).parent / "static" / "swagger-ui"
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("name", ["", "none.css", "swagger-ui/README.md", "..%2fassets.py", "products"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/{name}")).status_code == 404


def test_a_release_installed_over_a_running_one_changes_nothing_of_it(tmp_path: Path) -> None:
    style = tmp_path / "shop.css"
    style.write_text("a {}")
    before = assets.held(tmp_path)["shop.css"]
    style.write_text("b {}")
    assert assets.held(tmp_path)["shop.css"] == before
    assert before.content == b"a {}"
