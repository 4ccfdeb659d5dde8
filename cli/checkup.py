"""The checks of `checkout doctor`: each returns what it found, as a sentence, or raises `Wrong` with what to do."""

import json
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from checkout.ids import TASK_QUEUE
from cli.client import document_of
from db.engine import brief_engine, check_sessions, open_session
from db.setup import refuse_other_encodings, schema_versions
from db.writing import WriteWatch
from runtime.connection import BRIEF_RETRIES, connect
from runtime.egress import api_base, client_options
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.settings import Settings
from stack.preflight import check_database
from worker.starting import has_sweep

_PATIENCE = 10.0  # seconds for one question
_POLLED_WITHIN = 90.0  # seconds: a poll ends after a minute and is followed by the next
_TOLERANCE = 300  # seconds by which an event's time may be off (`api.webhooks`)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nobody listens here
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
_NOT_CURRENT = (
    "Workers ask for work and are given none: of what runs, no version is current ({}). Make one current: "
    "temporal worker deployment set-current-version --build-id {} --deployment-name {}"
)
_CREATE = "temporal operator search-attribute create --name {} --type Keyword"


@dataclass(frozen=True)
class Patient:
    """The deployment that is examined. `gateway`: its address as reached from here. `clock`: seconds by which its clock
    and the payment service's may differ. `is_local`: a `checkout up` of this machine runs it."""

    settings: Settings
    gateway: str
    clock: float = 30.0
    is_local: bool = False


class Wrong(Exception):
    """A check has failed: a sentence on what is wrong and what to do."""


class Skipped(Exception):
    """A check could not be made: a sentence on why."""


async def postgresql(patient: Patient) -> str:
    url = patient.settings.database_url.get_secret_value()
    await check_database(url)
    await check_sessions(url)
    session = await open_session(url, timeout=_PATIENCE)
    try:
        version = session.get_settings().server_version
    finally:
        await session.close()
    return f"PostgreSQL {version} answers and keeps our limits, and a session is ours alone."


async def encoding(patient: Patient) -> str:
    async with _engine(patient) as engine, engine.connect() as connection:
        await refuse_other_encodings(connection)
    return "It can hold every text (UTF8)."


async def schema(patient: Patient) -> str:
    async with _engine(patient) as engine, engine.connect() as connection:
        has, wants = await schema_versions(connection)
    if has != wants:
        what = f"It has schema {has}" if has else "It has no schema of ours"
        raise Wrong(f"{what}, and this code wants {wants}: run `python -m db setup` as the schema's owner.")
    return f"Its schema is the one that this code wants ({wants})."


async def writes(patient: Patient) -> str:
    async with _engine(patient) as engine:
        await WriteWatch(engine).look()
    return "It takes writes."


def _engine(patient: Patient) -> AbstractAsyncContextManager[AsyncEngine]:
    return brief_engine(patient.settings.database_url.get_secret_value(), pool_size=1, connect_timeout=_PATIENCE)


async def temporal(patient: Patient) -> str:
    client = await _client(patient)
    request = DescribeNamespaceRequest(namespace=client.namespace)
    try:
        await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=_PATIENCE))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise Wrong(f"It refuses us: {error.message}. Look at TEMPORAL_API_KEY and TEMPORAL_TLS_*.") from None
        what = f"It has no namespace {client.namespace!r}"
        raise Wrong(f"{what}: correct TEMPORAL_NAMESPACE, or `temporal operator namespace create`.") from None
    return f"It answers, and has the namespace {client.namespace!r}."


async def search_attributes(patient: Patient) -> str:
    client = await _client(patient)
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(request, timeout=timedelta(seconds=_PATIENCE))
    except RPCError as error:
        raise Skipped(f"It does not tell us ({error.status.name}).") from None
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in answer.custom_attributes]
    if missing:
        commands = "; ".join(map(_CREATE.format, missing))
        raise Wrong(f"It lacks {' and '.join(missing)}, without which no checkout goes on: {commands}")
    return "It knows ours."


async def schedule(patient: Patient) -> str:
    if not await has_sweep(await _client(patient)):
        raise Wrong("The sweep's schedule is missing: a worker that runs makes it, within CHECKOUT_SWEEP_INTERVAL.")
    return "The sweep is scheduled."


async def workers(patient: Patient) -> str:
    client = await _client(patient)
    polling: list[set[str]] = []
    request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=TASK_QUEUE))
    for kind in _KINDS:
        request.task_queue_type = kind
        answer = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=_PATIENCE))
        since = time.time() - _POLLED_WITHIN
        recent = [one for one in answer.pollers if one.last_access_time.ToSeconds() > since]
        polling.append({one.identity for one in recent})
        # "" is both: a worker without a version, and no version that is current.
        versions = {one.deployment_options.build_id: one.deployment_options.deployment_name for one in recent}
        current = answer.versioning_info.current_deployment_version.build_id
        if versions and current not in versions:
            raise Wrong(_NOT_CURRENT.format(current or "none", *max(versions.items())))
    count = len(polling[0] & polling[1])
    if count == 0:
        raise Wrong(f"Nobody asks for work on its queue {TASK_QUEUE!r}: start a worker, with this TEMPORAL_NAMESPACE.")
    return f"{count} {'asks' if count == 1 else 'ask'} for work."


async def _client(patient: Patient) -> Client:
    try:
        return await connect(patient.settings, retries=BRIEF_RETRIES)
    except RuntimeError as error:
        raise Wrong(f"It cannot be reached: is TEMPORAL_ADDRESS (host:port) right, and does it run? {error}") from None


async def payment(patient: Patient) -> str:
    base, options = api_base(patient.settings), client_options(patient.settings)
    headers = {"Authorization": f"Bearer {patient.settings.stripe_secret_key.get_secret_value()}"}
    async with httpx.AsyncClient(timeout=_PATIENCE, **options) as client:
        try:
            answer = await client.get(f"{base}/v1/checkout/sessions?limit=1", headers=headers)
        except httpx.HTTPError as error:
            way = " through STRIPE_PROXY" if "proxy" in options else ""
            raise Wrong(f"Nobody answers at {base}{way}: correct STRIPE_API_BASE. ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise Wrong("It does not accept STRIPE_SECRET_KEY for checkout sessions: copy it again from your account.")
    if answer.status_code != 200 or (document_of(answer) or {}).get("object") != "list":
        raise Wrong(f"What is at {base} does not speak Stripe's API ({answer.status_code}): correct STRIPE_API_BASE.")
    return f"It accepts our key, at {base}."


async def clock(patient: Patient) -> str:
    async with httpx.AsyncClient(timeout=_PATIENCE, **client_options(patient.settings)) as client:
        answer = await client.get(api_base(patient.settings))
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
        if patient.is_local:
            raise Wrong("The worker does not answer: look at the terminal of `checkout up`.") from None
        raise Skipped("Its probe is not to be reached from here; see above whether Temporal hears it.") from None


async def webhook(patient: Patient) -> str:
    """One signed event of a kind that the gateway does not need: verified, and answered with 200."""
    url, secret = f"{patient.gateway}/payment_webhook", patient.settings.stripe_webhook_secrets[0].get_secret_value()
    event = json.dumps({"id": "evt_doctor", "object": "event", "type": "doctor.visit", "data": {"object": {}}})
    signature = stripe.WebhookSignature.generate_signature_header(event, secret)
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
        answer = await client.post(url, content=event, headers=headers)
    if answer.status_code == 400:
        raise Wrong("The gateway refuses what this STRIPE_WEBHOOK_SECRET signed: give it the same. Its log says more.")
    if answer.status_code != 200:
        raise Wrong(f"{url} answers {answer.status_code}: is that path let through to the gateway, by POST?")
    return f"{url} takes what is signed with STRIPE_WEBHOOK_SECRET."


async def _ready(base: str, who: str) -> str:
    async with httpx.AsyncClient(timeout=_PATIENCE, trust_env=False) as client:
        answer = await client.get(f"{base}/readyz", headers={"Accept": "application/json"})
    if answer.status_code != 200:
        why = (document_of(answer) or {}).get("detail") or answer.text.strip()[:200]
        raise Wrong(f"{who} says that it cannot work now: {why}")
    return f"{who} is ready."
