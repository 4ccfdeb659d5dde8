"""Whose pages may post: the browser's own word first, else the page's address, however it is spelled."""

from collections.abc import AsyncIterator

import httpx
import pytest

from api.middleware.cors import origin_of
from stack.probes import free_ports
from tests.support.rig import gateway, settings_for

POST = "/orders/ord_x/cancel"  # 404 for whoever may ask
PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
async def at_home(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_for(database_url, free_ports(1)[0], CHECKOUT_PUBLIC_URL="https://bücher.example:443")
    async with gateway(settings) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://a-proxy-of-ours.example"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://xn--bcher-kva.example"},
        {"Origin": "HTTPS://XN--BCHER-KVA.EXAMPLE:443"},
        {"Origin": "https://shop.example", "Host": "shop.example:443"},
        {"Origin": "http://shop.example:80", "Host": "shop.example"},
        {"Origin": "http://localhost:8082", "Host": "localhost:8082"},
    ],
    ids=str,
)
async def test_our_own_pages_may_post(at_home: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await at_home.post(POST, headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        # Whatever else it claims: the browser says that the page is another's.
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://xn--bcher-kva.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://xn--bcher-kva.example:8443"},
        {"Origin": "http://xn--bcher-kva.example"},
        {"Origin": "https://xn--bcher-kva.example.evil.example"},
        {"Origin": "https://xn--bcher-kva.example@evil.example"},
        {"Origin": ""},
    ],
    ids=str,
)
async def test_other_sites_pages_may_not(at_home: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await at_home.post(POST, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert answer.json()["code"] == "cross-site"


@pytest.mark.parametrize("path", [POST, "/orders/a%0a/cancel"])
async def test_a_person_who_is_refused_sees_a_page(at_home: httpx.AsyncClient, path: str) -> None:
    """Also where the refusal comes before any route."""
    answer = await at_home.post(path, headers={"Sec-Fetch-Site": "cross-site"} | PAGE)
    assert answer.headers["content-type"].startswith("text/html"), answer.text
    assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Shop.Example:443/path?query", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://[::1]:8082/", "http://[::1]:8082"),
        ("null", None),
        ("file://", None),
        ("https://" + "a" * 300 + ".ü", None),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
