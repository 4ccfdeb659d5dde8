"""What tests of the payment service do and read once a session is paid."""

from typing import Any

from tests.integration.payment_mock.conftest import Merchant


async def become(merchant: Merchant, identifier: str, status: str) -> bool:
    answer = await merchant.http.post("/_faults/become", json={"id": identifier, "status": status})
    return bool(answer.raise_for_status().json()["changed"])


async def paid_with(merchant: Merchant, token: str) -> Any:
    session = await merchant.create()
    answer = await merchant.http.post(f"/payment/{session.id}/pay", data={"payment_method": token})
    assert answer.status_code == 303
    return await merchant.retrieve(session.id)


async def told(merchant: Merchant, session_id: str) -> list[str]:
    """The types of all events about it, in the order in which they happened."""
    rows = await merchant.rows("SELECT type FROM payments.events WHERE session_id = :id ORDER BY seq", id=session_id)
    return [row.type for row in rows]


def refunds(merchant: Merchant) -> Any:
    return merchant.stripe.v1.refunds


def disputes(merchant: Merchant) -> Any:
    return merchant.stripe.v1.disputes


async def charge_of(merchant: Merchant, session: Any) -> Any:
    intent = await merchant.stripe.v1.payment_intents.retrieve_async(
        session.payment_intent, {"expand": ["latest_charge"]}
    )
    return intent.latest_charge
