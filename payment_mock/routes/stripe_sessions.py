"""`/v1/checkout/sessions` (docs.stripe.com/api/checkout/sessions)."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from payment_mock import provider
from payment_mock.domain import errors, form, wire
from payment_mock.domain.creation import integer, refuse_unknown, session_from
from payment_mock.faults.plane import subject_of
from payment_mock.faults.rules import Subject
from payment_mock.http import answer, idempotency_key, query, read_form, stripe_endpoint, text_param
from payment_mock.service import Answer, Effect, Service
from payment_mock.store import sessions

_EXPANDABLE = ("payment_intent", "payment_intent.latest_charge", "line_items")


def _expand(params: form.Params, prefix: str = "") -> list[str]:
    paths = form.strings(params, "expand")
    for path in paths:
        if path.removeprefix(prefix) not in _EXPANDABLE or not path.startswith(prefix):
            raise errors.invalid_request(f"This property cannot be expanded ({path}).", param="expand")
    return [path.removeprefix(prefix) for path in paths]


async def create(service: Service, request: Request) -> Answer:
    params, body = await read_form(request)
    key = idempotency_key(request, body)
    try:
        session = session_from(params)
    except errors.StripeError:
        # A repeat gets the first one's answer, though `expires_at` has come too near meanwhile.
        if (known := await service.recall(key)) is not None:
            return known
        raise
    return await service.create(session, _expand(params), key)


async def retrieve(service: Service, request: Request) -> Answer:
    params = query(request)
    refuse_unknown(params, {"expand"}, "")
    expand = _expand(params)
    session = await service.find(request.path_params["id"])
    await service.read("retrieve", subject_of(session))
    shown = await service.faults.report(session)
    return answer(wire.session_object(shown, service.settings.public_url, expand))


async def line_items(service: Service, request: Request) -> Answer:
    return answer(wire.line_items_object(await service.find(request.path_params["id"])))


async def expire(service: Service, request: Request) -> Answer:
    params, body = await read_form(request)
    refuse_unknown(params, {"expand"}, "")
    expand = _expand(params)
    session_id = request.path_params["id"]
    subject = Subject(session_id=session_id)
    if service.faults.armed("expire"):
        subject = subject_of(await service.find(session_id))

    async def work(connection: Any) -> Effect:
        session = provider.session_or_404(await sessions.get(connection, session_id), session_id)
        expired, deliveries = await provider.expire(connection, session, service.settings.public_url)
        return Effect(wire.encode(wire.session_object(expired, service.settings.public_url, expand)), deliveries)

    return await service.write("expire", subject, idempotency_key(request, body), work)


async def listed(service: Service, request: Request) -> Answer:
    params = query(request)
    refuse_unknown(params, {"limit", "starting_after", "status", "payment_intent", "created", "expand"}, "")
    limit = integer(params.get("limit", "10"), "limit", 1, 100)
    status = params.get("status")
    if status not in (None, "open", "complete", "expired"):
        raise errors.invalid_request("Invalid status: must be one of open, complete, or expired", param="status")
    since, until = _created(params.get("created"))
    expand = _expand(params, "data.")
    after = text_param(params, "starting_after")
    await service.read("list", Subject())
    async with service.database.single() as connection:
        if after is not None and await sessions.get(connection, after) is None:
            raise errors.no_such("checkout.session", after, "starting_after")
        found = await sessions.listed(
            connection,
            status=status,
            payment_intent=text_param(params, "payment_intent"),
            after=after,
            since=since,
            until=until,
            limit=limit + 1,
        )
    shown = [await service.faults.report(session) for session in found[:limit]]
    public_url = service.settings.public_url
    data = [wire.session_object(session, public_url, expand) for session in shown]
    return answer(wire.list_object(data, "/v1/checkout/sessions", has_more=len(found) > limit))


def _created(given: Any) -> tuple[int | None, int | None]:
    """`created=…` or `created[gte]=…` and its siblings, as a half-open span of unix seconds."""
    if given is None:
        return None, None
    if not isinstance(given, dict):
        at = integer(given, "created", 0, 10**11)
        return at, at + 1
    refuse_unknown(given, {"gt", "gte", "lt", "lte"}, "created")
    bound = {name: integer(value, f"created[{name}]", 0, 10**11) for name, value in given.items()}
    since = max((bound[name] + (name == "gt") for name in ("gt", "gte") if name in bound), default=None)
    until = min((bound[name] + (name == "lte") for name in ("lt", "lte") if name in bound), default=None)
    return since, until


routes = [
    Route("/v1/checkout/sessions", stripe_endpoint(create), methods=["POST"]),
    Route("/v1/checkout/sessions", stripe_endpoint(listed), methods=["GET"]),
    Route("/v1/checkout/sessions/{id}", stripe_endpoint(retrieve), methods=["GET"]),
    Route("/v1/checkout/sessions/{id}/line_items", stripe_endpoint(line_items), methods=["GET"]),
    Route("/v1/checkout/sessions/{id}/expire", stripe_endpoint(expire), methods=["POST"]),
]
