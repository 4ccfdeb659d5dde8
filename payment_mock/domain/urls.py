"""Addresses that a client hands us: where customers are sent, and where events go."""

from urllib.parse import quote, urlsplit

from payment_mock.domain.errors import invalid_request

PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_address(url: str) -> bool:
    """Only http and https: a `javascript:` link on the payment page would be a script in our page's name."""
    if len(url) > 5000 or any(ord(letter) <= 32 for letter in url):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def check_url(url: str, param: str) -> str:
    if not is_address(url):
        raise invalid_request("Not a valid URL", param=param, code="url_invalid")
    return url


def check_webhook_url(url: str, configured: str) -> str:
    """A session's own webhook address, as in the guide.

    Decision: a server that posts to any address a client names is a tool for server-side request forgery. So only
    the configured endpoint and loopback hosts (the guide's own use) pass, and redirects are never followed.
    """
    checked = check_url(url, "webhook")
    if checked == configured or urlsplit(checked).hostname in _LOOPBACK:
        return checked
    raise invalid_request("The webhook must be on this machine or be the configured endpoint.", param="webhook")


def fill_in(url: str, session_id: str) -> str:
    """Replace Stripe's `{CHECKOUT_SESSION_ID}` placeholder (docs.stripe.com/payments/checkout/custom-success-page)."""
    return url.replace(PLACEHOLDER, quote(session_id, safe=""))
