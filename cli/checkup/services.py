"""What speaks HTTP: the payment service, the gateway, the worker's probe, and an event's way between them."""

import contextlib
import hashlib
import hmac
import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from cli.checkup import PATIENCE, Patient, Skipped, Wrong
from runtime.egress import api_base, client_options

_TOLERANCE = 300  # seconds by which an event's time may be off (`api.signatures`)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nobody listens here


async def payment(patient: Patient) -> str:
    settings = patient.settings
    base, options = api_base(settings), client_options(settings)
    headers = {"Authorization": f"Bearer {settings.stripe_secret_key.get_secret_value()}"}
    async with httpx.AsyncClient(timeout=PATIENCE, **options) as client:
        try:
            answer = await client.get(f"{base}/v1/checkout/sessions?limit=1", headers=headers)
        except httpx.HTTPError as error:
            way = " through STRIPE_PROXY" if "proxy" in options else ""
            raise Wrong(f"Nobody answers at {base}{way}: correct STRIPE_API_BASE. ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise Wrong("It does not accept STRIPE_SECRET_KEY for checkout sessions: copy it again from your account.")
    if answer.status_code != 200 or _json(answer).get("object") != "list":
        raise Wrong(f"What is at {base} does not speak Stripe's API ({answer.status_code}): correct STRIPE_API_BASE.")
    return f"It accepts our key, at {base}."


async def clock(patient: Patient) -> str:
    base = api_base(patient.settings)
    async with httpx.AsyncClient(timeout=PATIENCE, **client_options(patient.settings)) as client:
        answer = await client.get(base)
    if "Date" not in answer.headers:
        raise Skipped("It does not tell the time.")
    ahead = time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp()
    if abs(ahead) > patient.clock:
        which = "ahead of" if ahead > 0 else "behind"
        what = f"This machine's clock is {abs(ahead):.0f} s {which} the payment service's"
        raise Wrong(f"{what}: have it set (NTP), for events that seem {_TOLERANCE} s old are refused.")
    return "It agrees with the payment service's."


async def gateway(patient: Patient) -> str:
    try:
        return await _ready(patient.gateway, f"The gateway at {patient.gateway}")
    except httpx.ConnectError:
        what = "correct CHECKOUT_PUBLIC_URL, or name it with --url as it is reached from here"
        raise Wrong(f"Nobody answers at {patient.gateway}: start the gateway, {what}.") from None


async def worker(patient: Patient) -> str:
    host = _EVERYWHERE.get(patient.settings.worker_host, patient.settings.worker_host)
    try:
        return await _ready(f"http://{host}:{patient.settings.worker_port}", "The worker")
    except httpx.ConnectError:
        if patient.place.is_local:
            raise Wrong("The worker does not answer: look at the terminal of `checkout up`.") from None
        raise Skipped("Its probe is not to be reached from here; see above whether Temporal hears it.") from None


async def webhook(patient: Patient) -> str:
    """One signed event of a kind that the gateway does not need: verified, and answered with 200."""
    url, now = f"{patient.gateway}/payment_webhook", int(time.time())
    event = json.dumps({"id": "evt_doctor", "object": "event", "type": "doctor.visit", "data": {"object": {}}}).encode()
    secret = patient.settings.stripe_webhook_secrets[0].get_secret_value().encode()
    signature = hmac.new(secret, b"%d." % now + event, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        answer = await client.post(url, content=event, headers=headers)
    if answer.status_code == 400:
        raise Wrong("The gateway refuses what this STRIPE_WEBHOOK_SECRET signed: give it the same. Its log says more.")
    if answer.status_code != 200:
        raise Wrong(f"{url} answers {answer.status_code}: is that path let through to the gateway, by POST?")
    return f"{url} takes what is signed with STRIPE_WEBHOOK_SECRET."


async def _ready(base: str, who: str) -> str:
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        answer = await client.get(f"{base}/readyz", headers={"Accept": "application/json"})
    if answer.status_code != 200:
        told = str(_json(answer).get("detail") or answer.text.strip()[:200])
        raise Wrong(f"{who} says that it cannot work now: {told}")
    return f"{who} is ready."


def _json(answer: httpx.Response) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        body = answer.json()
        if isinstance(body, dict):
            return body
    return {}
