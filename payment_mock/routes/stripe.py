"""Stripe's API, as far as the simulator has it (docs.stripe.com/api): a handler has the service do what the parameters
say, and shows the object."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from payment_mock.domain import errors, params, payments, reversals, wire
from payment_mock.domain.objects import Json, Session
from payment_mock.domain.params import Expand, ListedReversals, Nothing
from payment_mock.domain.payments import Step
from payment_mock.domain.sessions import session_of
from payment_mock.routes.edge import Call, Handler, stripe_route
from payment_mock.store import CHARGES, DISPUTES, EVENTS, INTENTS, REFUNDS, SESSIONS, Kind, Work


async def create_session(call: Call[params.NewSession]) -> Response:
    return await call.service.create(session_of(call.params), call.params.expand, call.key)


async def line_items(call: Call[Nothing]) -> Json:
    return wire.line_items_object(await call.service.find(call.id))


async def expire_session(call: Call[Expand]) -> Response:
    async def work(run: Work) -> Json:
        expired = await run.change(call.id, payments.expire)
        return wire.session_object(expired.session, expand=call.params.expand)

    return await call.service.answer("expire", partial(SESSIONS.get, value=call.id, param="session"), call.key, work)


async def create_refund(call: Call[params.NewRefund]) -> Response:
    new = call.params
    if new.payment_intent is None and new.charge is None:
        raise errors.invalid_request(
            "One of the following params should be provided for this request: payment_intent or charge."
        )

    async def find(connection: AsyncConnection) -> Session:
        if new.payment_intent is None:
            return await CHARGES.get(connection, str(new.charge), "charge")
        session = await INTENTS.get(connection, new.payment_intent, "payment_intent")
        if new.charge not in (None, session.charge):
            raise errors.no_such("charge", str(new.charge), "charge")
        return session

    async def work(run: Work) -> Json:
        session = await find(run.connection)
        step = partial(reversals.refund, amount=new.amount, reason=new.reason, metadata=new.metadata)
        return wire.reversal_of(await run.change(session.id, step))

    return await call.service.answer("refund", find, call.key, work)


def respond(params: params.Response) -> Step:
    """Evidence; `submit=false` keeps it back. Its `uncategorized_text` decides, as in Stripe's test mode."""
    text = params.evidence.get("uncategorized_text", "")
    return partial(reversals.respond, text=text, submit=params.submit == "true")


def changed(kind: Kind[Any], step: Callable[[Any], Step]) -> Handler[Any]:
    """Take the step that the parameters ask for with the refund or dispute that the address names."""

    async def handler(call: Call[Any]) -> Response:
        async def work(run: Work) -> Json:
            return wire.reversal_of(await run.change(call.id, step(call.params), kind))

        return await call.service.answer(kind.name, None, call.key, work)

    return handler


def retrieved(kind: Kind[Any], operation: str = "", param: str = "id") -> Handler[Any]:
    async def handler(call: Call[Any]) -> Json:
        find = partial(kind.get, value=call.id, param=param)
        async with call.service.operation(operation, find) as run:
            found = await find(run.connection)
        return await _shown(call, kind, found)

    return handler


def listed(kind: Kind[Any], operation: str = "") -> Handler[Any]:
    async def handler(call: Call[Any]) -> Json:
        async with call.service.operation(operation) as run:
            found, has_more = await kind.page(run.connection, call.params)
        data = [await _shown(call, kind, one) for one in found]
        return wire.list_object(data, call.request.url.path, has_more=has_more)

    return handler


async def unrecognized(call: Call[Nothing]) -> Json:
    """Whatever else Stripe has and the simulator has not."""
    told = f"Unrecognized request URL ({call.request.method}: {call.request.url.path})."
    raise errors.invalid_request(told, status=404)


async def _shown(call: Call[Any], kind: Kind[Any], found: Any) -> Json:
    if kind is INTENTS:
        return wire.payment_intent_object(found, "latest_charge" in call.params.expand)
    if kind is CHARGES:
        return wire.charge_object(found)
    if kind is SESSIONS:
        session = await call.service.faults.report(found)
        return wire.session_object(session, call.service.settings.public_url, call.params.expand)
    return found if kind is EVENTS else wire.reversal_object(found)


_SESSIONS = "/v1/checkout/sessions"

routes = [
    stripe_route("POST", _SESSIONS, params.NewSession, create_session),
    stripe_route("GET", _SESSIONS, params.ListedSessions, listed(SESSIONS, "list")),
    stripe_route("GET", f"{_SESSIONS}/{{id}}", Expand, retrieved(SESSIONS, "retrieve", "session")),
    stripe_route("GET", f"{_SESSIONS}/{{id}}/line_items", Nothing, line_items),
    stripe_route("POST", f"{_SESSIONS}/{{id}}/expire", Expand, expire_session),
    stripe_route("GET", "/v1/payment_intents/{id}", params.ExpandIntent, retrieved(INTENTS, param="intent")),
    stripe_route("GET", "/v1/charges/{id}", Nothing, retrieved(CHARGES)),
    stripe_route("POST", "/v1/refunds", params.NewRefund, create_refund),
    stripe_route("GET", "/v1/refunds", ListedReversals, listed(REFUNDS)),
    stripe_route("GET", "/v1/refunds/{id}", Nothing, retrieved(REFUNDS)),
    stripe_route("POST", "/v1/refunds/{id}/cancel", Nothing, changed(REFUNDS, lambda _: reversals.cancel_refund)),
    stripe_route("GET", "/v1/disputes", ListedReversals, listed(DISPUTES)),
    stripe_route("GET", "/v1/disputes/{id}", Nothing, retrieved(DISPUTES)),
    stripe_route("POST", "/v1/disputes/{id}", params.Response, changed(DISPUTES, respond)),
    stripe_route("POST", "/v1/disputes/{id}/close", Nothing, changed(DISPUTES, lambda _: reversals.close)),
    stripe_route("GET", "/v1/events", params.ListedEvents, listed(EVENTS)),
    stripe_route("GET", "/v1/events/{id}", Nothing, retrieved(EVENTS)),
    stripe_route("", "/v1/{rest:path}", Nothing, unrecognized),
]
