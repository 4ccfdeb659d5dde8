"""The API's description: shown, and from this machine alone."""

from playwright.async_api import Request, expect

from tests.browser.visitor import Site, Visitor


async def test_the_api_is_described_without_a_request_to_anyone_else(visitor: Visitor, site: Site) -> None:
    """The fixture fails if the page's own policy refuses anything that Swagger UI does."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    visitor.page.on("request", note)
    await visitor.open("/docs")
    await expect(visitor.page.locator("[data-path='/checkout']").first).to_be_visible()
    await visitor.page.locator("[data-path='/checkout']").first.click()
    await expect(visitor.page.get_by_text("Idempotency-Key").first).to_be_visible()
    assert [url for url in asked if not url.startswith((site.url, "data:"))] == []


async def test_the_payment_services_api_too(visitor: Visitor, site: Site) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    visitor.page.on("request", note)
    await visitor.page.goto(f"{site.payment}/docs")
    await expect(visitor.page.locator("[data-path='/api/submit_payment']").first).to_be_visible()
    assert [url for url in asked if not url.startswith((site.payment, "data:"))] == []
