"""One browser for all tests, a fresh profile for each, and the shop it visits. A page that complains fails its test."""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from stack.stack import Stack
from tests.browser.chromium import ARGUMENTS, NoChromium, find_chromium
from tests.browser.visitor import Site, Visitor
from tests.support.stacks import shared_stack

expect.set_options(timeout=30_000)  # a busy machine's; what is there is seen at once

Visit = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    async with shared_stack() as stack:
        yield stack


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        try:
            path = find_chromium(playwright.chromium.executable_path)
        except NoChromium as error:
            pytest.fail(str(error), pytrace=False)
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="package")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def site(stack: Stack, client: httpx.AsyncClient) -> Site:
    await stack["gateway"].wait_ready()
    await stack["worker"].wait_ready()
    urls = stack.urls
    return Site(urls["gateway"], urls["payment"], stack.admin_token, client, f"{secrets.token_hex(6)}@example.com")


@pytest.fixture
async def visit(browser: Browser, site: Site) -> AsyncIterator[Visit]:
    """`await visit()` is a customer with a browser of their own; options go to Playwright's context."""
    visitors: list[Visitor] = []

    async def begin(**options: Any) -> Visitor:
        usual = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", "timezone_id": "UTC"}
        # What moves without end is painted without end, and costs a fifth of all that a browser does here.
        context = await browser.new_context(**(usual | {"reduced_motion": "reduce"} | options))
        context.set_default_timeout(30_000)
        visitor = Visitor(site, context, await context.new_page())
        context.on("page", lambda page: _listen(visitor, page))
        _listen(visitor, visitor.page)
        visitors.append(visitor)
        return visitor

    yield begin
    for visitor in visitors:
        await visitor.context.close()
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    assert not complaints, "the browser's console complains"


@pytest.fixture
async def visitor(visit: Visit) -> Visitor:
    return await visit()


def _listen(visitor: Visitor, page: Page) -> None:
    def complain(text: str) -> None:
        if not any(re.search(pattern, text) for pattern in visitor.expected_complaints):
            visitor.complaints.append(text)

    page.on("pageerror", lambda error: complain(f"uncaught: {error}"))

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complain(f"{message.text} ({message.location['url']})")

    page.on("console", hear)
