"""An order's page as its customer reads it."""

import html
import re
from datetime import UTC, datetime

from api.order_views import OrderOut
from api.web.rendering import page
from api.web.shop.pages import story_of


class OrderPage:
    """`title`, `lead`, the words of each `step`, how the `payment` stands, and how each of the `refunds` does."""

    def __init__(self, order: OrderOut) -> None:
        shown = page("order.html", order=order, story=story_of(order), now=datetime.now(UTC), note="")
        text = bytes(shown.body).decode()
        self.title = _words(text, r'<h1 id="headline".*?</h1>')[0]
        self.lead = _words(text, r'<p class="lead">.*?</p>')[0]
        self.steps = _words(text, r'<li class="(?:done|now|todo|failed|back)".*?</li>')
        self.payment = _words(text, r"<dt>Payment</dt><dd>.*?</dd>")[0].removeprefix("Payment")
        self.refunds = _words(text, r"<li><span>Refund <span.*?</span>")


def _words(text: str, pattern: str) -> list[str]:
    found = re.findall(pattern, text, re.DOTALL)
    return [" ".join(html.unescape(re.sub(r"<[^>]*>", "", each)).split()) for each in found]
