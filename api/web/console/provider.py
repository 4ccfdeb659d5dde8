"""The payment service's own record of what it told us: its events can be had again, should one never have arrived.

Stripe API reference, "List all events" (kept for 30 days). Read here and handed on as if it had just been sent; it
needs no signature, for we fetched it from the provider ourselves. As always it is only a hint to look.
"""

from typing import Any

from api.problems import Problem
from runtime.egress import client_options
from runtime.settings import Settings

PAGES = 5  # of 100 events: how far back to look
TIMEOUT = 5.0
_STRIPE = "https://api.stripe.com"
_TYPES = [
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
]


async def last_event(settings: Settings, session_id: str) -> dict[str, Any] | None:
    """The newest event about the session, or None. Raises a 502 `Problem` when the provider does not answer."""
    import httpx  # only who resends pays for loading it

    base = settings.stripe_api_base or _STRIPE
    headers = {"Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}"}
    query: dict[str, Any] = {"limit": 100, "types[]": _TYPES}
    try:
        options = client_options(settings)
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=TIMEOUT, **options) as client:
            for _ in range(PAGES):
                answer = (await client.get("/v1/events", params=query)).raise_for_status().json()
                for event in answer["data"]:
                    if event["data"]["object"]["id"] == session_id:
                        return dict(event)
                if not answer["has_more"]:
                    return None
                query["starting_after"] = answer["data"][-1]["id"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        raise Problem(502, "payment-unreachable", "The payment service does not answer", "Try again later.") from None
    return None
