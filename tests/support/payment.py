"""The payment service's control plane and its customer's side, for tests."""

from typing import Any, Self

import httpx


class PaymentService:
    """`async with`: faults set inside are gone afterwards."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, timeout=20, verify=False)

    async def __aenter__(self) -> Self:
        await self.reset()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.reset()
        await self.http.aclose()

    async def reset(self) -> None:
        (await self.http.delete("/_faults")).raise_for_status()

    async def fault(self, point: str, action: str, **more: Any) -> int:
        """Set a rule; answers its id."""
        answer = await self.http.put("/_faults", json={"point": point, "action": action, **more})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    async def fired(self, rule: int) -> int:
        """How often a rule has fired: a test whose fault never fired proves nothing."""
        rules = (await self.http.get("/_faults")).json()["rules"]
        return sum(found["fired"] for found in rules if found["id"] == rule)

    async def pay(self, session_id: str, method: str | None = None) -> httpx.Response:
        """`method` is one of the test methods; by default a card that pays."""
        more = {"payment_method": method} if method else {}
        return await self.http.post("/api/submit_payment", data={"session_id": session_id, **more})

    async def cancel(self, session_id: str) -> httpx.Response:
        return await self.http.post("/api/cancel_payment", data={"session_id": session_id})

    async def force_pay(self, session_id: str) -> None:
        answer = await self.http.post("/_faults/pay", json={"session_id": session_id, "force": True})
        assert answer.json()["paid"] is True, answer.text

    async def become(self, identifier: str, status: str) -> None:
        """What a bank makes of a debit (`cs_…`: succeeded, failed), a refund (`re_…`) or a dispute (`du_…`)."""
        answer = await self.http.post("/_faults/become", json={"id": identifier, "status": status})
        assert answer.json()["changed"] is True, answer.text

    async def reverse(self, what: str, session_id: str, **more: Any) -> str:
        """A `refund` by the dashboard, or a `dispute` by the customer's bank; answers its id."""
        answer = await self.http.post(f"/_faults/{what}", json={"session_id": session_id, **more})
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def status(self, session_id: str) -> str:
        """The guide's word for it: pending, paid or cancelled."""
        return str((await self.http.get(f"/api/session/{session_id}")).json()["payment_status"])

    async def send_webhook(self, **webhook: Any) -> list[int]:
        """Send an event of one's own making; answers the receiver's status for each copy."""
        answer = await self.http.post("/_faults/webhooks", json=webhook)
        answer.raise_for_status()
        return list(answer.json()["statuses"])
