"""The page where customers pay."""

import time

import httpx
import pytest

from tests.integration.payment_mock.conftest import Merchant
from tests.integration.payment_mock.test_guide_endpoints import SHOP, create


async def page(merchant: Merchant, session_id: str) -> httpx.Response:
    return await merchant.http.get(f"/payment/{session_id}")


async def test_the_page_shows_what_is_paid_and_sends_no_card_number(merchant: Merchant) -> None:
    session_id = await create(merchant)
    answer = await page(merchant, session_id)
    assert answer.status_code == 200
    for shown in ("$24.50", "$20.00", "$4.50", "Pen", "Ink", "4242 4242 4242 4242"):
        assert shown in answer.text
    inputs = [part.partition(">")[0] for part in answer.text.split("<input")[1:]]
    assert {"payment_method" for field in inputs if "name=" in field} == {"payment_method"}


async def test_the_page_trusts_nothing_and_loads_only_its_own(merchant: Merchant) -> None:
    session_id = await create(
        merchant, items=[{"description": "<script>alert(1)</script>", "quantity": 1, "price": 500}]
    )
    answer = await page(merchant, session_id)
    assert "<script>alert" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert SHOP in policy, "the redirect to the shop after the form must be allowed"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name, kind in (("payment.css", "text/css"), ("payment.js", "text/javascript")):
        asset = await merchant.http.get(f"/payment/static/{name}")
        assert (asset.status_code, asset.headers["content-type"].partition(";")[0]) == (200, kind)
        assert "http://" not in asset.text
        assert "https://" not in asset.text
    assert (await merchant.http.get("/payment/static/..%2fsettings.py")).status_code == 404


async def test_paying_on_the_page_leads_to_the_shops_success_page(merchant: Merchant) -> None:
    session_id = await create(merchant)
    answer = await merchant.http.post(f"/payment/{session_id}/pay", data={"payment_method": "pm_card_visa"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SHOP}/ok?s={session_id}")
    again = await merchant.http.post(f"/payment/{session_id}/pay", data={"payment_method": "pm_card_visa"})
    assert again.status_code == 303
    assert await merchant.ledger(session_id) == [("charge", 2450)]
    assert "Payment complete" in (await page(merchant, session_id)).text


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("pm_card_chargeDeclined", "Your card was declined."),
        ("pm_card_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
    ],
)
async def test_a_declined_card_leads_back_to_the_open_page(merchant: Merchant, token: str, message: str) -> None:
    session_id = await create(merchant)
    answer = await merchant.http.post(f"/payment/{session_id}/pay", data={"payment_method": token})
    assert answer.status_code == 402
    assert message in answer.text
    assert "location" not in answer.headers
    declined = await merchant.retrieve(session_id)
    assert declined.status == "open"
    paid = await merchant.http.post(f"/payment/{session_id}/pay", data={"payment_method": "pm_card_visa"})
    assert paid.status_code == 303
    assert (await merchant.retrieve(session_id)).payment_intent == declined.payment_intent, "one intent, two attempts"


async def test_an_unknown_token_pays_nothing(merchant: Merchant) -> None:
    session_id = await create(merchant)
    for token in ("4242424242424242", "", "pm_card_gold"):
        answer = await merchant.http.post(f"/payment/{session_id}/pay", data={"payment_method": token})
        assert answer.status_code == 400
        assert "test cards" in answer.text
    assert await merchant.ledger(session_id) == []


async def test_cancelling_on_the_page_closes_the_session_and_leads_back(merchant: Merchant) -> None:
    session_id = await create(merchant)
    answer = await merchant.http.post(f"/payment/{session_id}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SHOP}/no")
    assert (await merchant.retrieve(session_id)).status == "expired"
    shown = await page(merchant, session_id)
    assert "Payment cancelled" in shown.text
    refused = await merchant.http.post(f"/payment/{session_id}/pay", data={"payment_method": "pm_card_visa"})
    assert refused.status_code == 409
    assert "location" not in refused.headers
    assert f"{SHOP}/ok" not in refused.text, "an unpaid customer is never shown the way to the success page"


async def test_a_session_that_ran_out_of_time_says_so(merchant: Merchant) -> None:
    session = await merchant.create(metadata={"pay_by": str(time.time() - 1)})
    await merchant.sessions.expire_async(session.id)
    answer = await page(merchant, session.id)
    assert "Payment session expired" in answer.text
    assert "You have not been charged" in answer.text


async def test_the_countdown_ends_at_the_earlier_of_the_two_limits(merchant: Merchant) -> None:
    pay_by = int(time.time()) + 600
    early = await merchant.create(metadata={"pay_by": str(pay_by)})
    late = await merchant.create(metadata={"pay_by": str(pay_by + 10**6)})
    odd = await merchant.create(metadata={"pay_by": "soon"})
    assert f'data-deadline="{pay_by}"' in (await page(merchant, early.id)).text
    for session in (late, odd):
        assert f'data-deadline="{session.expires_at}"' in (await page(merchant, session.id)).text


async def test_an_unknown_session_has_a_page_of_its_own(merchant: Merchant) -> None:
    answer = await page(merchant, "cs_test_nothing")
    assert answer.status_code == 404
    assert "No such payment" in answer.text
    assert (
        await merchant.http.post("/payment/cs_test_nothing/pay", data={"payment_method": "pm_card_visa"})
    ).status_code == 404


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
async def test_another_sites_form_cannot_pay_or_cancel(merchant: Merchant, origin: str) -> None:
    session_id = await create(merchant)
    for action in ("pay", "decline", "cancel"):
        answer = await merchant.http.post(
            f"/payment/{session_id}/{action}", data={"payment_method": "pm_card_visa"}, headers={"origin": origin}
        )
        assert answer.status_code == 403
    assert (await merchant.retrieve(session_id)).status == "open"
    own = await merchant.http.post(
        f"/payment/{session_id}/pay", data={"payment_method": "pm_card_visa"}, headers={"origin": merchant.url}
    )
    assert own.status_code == 303
