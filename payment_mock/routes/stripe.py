"""Stripe's API, as far as the simulator has it (docs.stripe.com/api): a handler has the service do what the parameters
say, and shows the object."""

from collections.abc import Callable
from functools import partial
from typing import Any

from payment_mock.database import Database
from payment_mock.domain import errors, form, params, payments, reversals, wire
from payment_mock.domain.objects import Json, Opening, Session, session_of
from payment_mock.domain.params import Expand, ListedReversals
from payment_mock.domain.payments import Transition
from payment_mock.routes.edge import Call, Handler, stripe_route
from payment_mock.service import About
from payment_mock.store import CHARGES, DISPUTES, EVENTS, INTENTS, REFUNDS, SESSIONS, Kind
from payment_mock.work import Work


def opening(given: form.Form) -> Opening:
    new = params.NewSession.of(given)
    return Opening(session_of(new), new.expand)


async def create_session(call: Call[Opening], work: Work) -> Json:
    session = await work.create(call.params.session)
    return wire.session_object(session, call.service.settings.public_url, call.params.expand)


async def line_items(call: Call[None], work: Work) -> Json:
    return wire.line_items_object(await SESSIONS.get(work.database, call.id, "session"))


async def expire_session(call: Call[Expand], work: Work) -> Json:
    expired = await work.change(call.id, payments.expire)
    return wire.session_object(expired.session, expand=call.params.expand)


async def create_refund(call: Call[params.NewRefund], work: Work) -> Json:
    new = call.params
    session = await refunded(new, work.database)
    refund = partial(reversals.refund, amount=new.amount, reason=new.reason, metadata=new.metadata)
    return wire.reversal_of(await work.change(session.id, refund))


async def refunded(new: params.NewRefund, database: Database) -> Session:
    """The payment that is to be refunded."""
    if new.payment_intent is None:
        return await CHARGES.get(database, str(new.charge), "charge")
    session = await INTENTS.get(database, new.payment_intent, "payment_intent")
    if new.charge not in (None, session.charge):
        raise errors.no_such("charge", str(new.charge), "charge")
    return session


def evidence(given: params.Response) -> Json:
    """`submit=false` keeps it back."""
    return {"text": given.evidence.get("uncategorized_text", ""), "submit": given.submit == "true"}


def changed(kind: Kind[Any], transition: Transition, how: Callable[[Any], Json] = lambda _: {}) -> Handler[Any]:
    """Change the refund or dispute that the address names; `how`, say the parameters."""

    async def handler(call: Call[Any], work: Work) -> Json:
        return wire.reversal_of(await work.change(call.id, partial(transition, **how(call.params)), kind))

    return handler


def retrieved(kind: Kind[Any], param: str = "id") -> Handler[Any]:
    async def handler(call: Call[Any], work: Work) -> Json:
        [found] = await _reported(call, kind, [await kind.get(work.database, call.id, param)])
        return _shown(call, kind, found)

    return handler


def listed(kind: Kind[Any]) -> Handler[Any]:
    async def handler(call: Call[Any], work: Work) -> Json:
        found, has_more = await kind.page(work.database, call.params)
        data = [_shown(call, kind, one) for one in await _reported(call, kind, found)]
        return wire.list_object(data, call.request.url.path, has_more=has_more)

    return handler


async def unrecognized(call: Call[None], _: Work) -> Json:
    """Whatever else Stripe has and the simulator has not."""
    told = f"Unrecognized request URL ({call.request.method}: {call.request.url.path})."
    raise errors.invalid_request(told, status=404)


async def _reported(call: Call[Any], kind: Kind[Any], found: list[Any]) -> list[Any]:
    """Sessions as planted faults have them."""
    return [await call.service.reported(session) for session in found] if kind is SESSIONS else found


def _shown(call: Call[Any], kind: Kind[Any], found: Any) -> Json:
    if kind is SESSIONS:
        return wire.session_object(found, call.service.settings.public_url, call.params.expand)
    if kind is INTENTS:
        return wire.payment_intent_object(found, "latest_charge" in call.params.expand)
    if kind is CHARGES:
        return wire.charge_object(found)
    return found if kind is EVENTS else wire.reversal_object(found)


def _its_session(call: Call[Any]) -> About:
    return partial(SESSIONS.get, value=call.id, param="session")


def _its_payment(call: Call[params.NewRefund]) -> About:
    return partial(refunded, call.params)


_SESSIONS = "/v1/checkout/sessions"
routes = [
    stripe_route("POST", _SESSIONS, opening, create_session, "create", lambda call: call.params.session),
    stripe_route("GET", _SESSIONS, params.ListedSessions.of, listed(SESSIONS), "list"),
    stripe_route("GET", f"{_SESSIONS}/{{id}}", Expand.of, retrieved(SESSIONS, "session"), "retrieve", _its_session),
    stripe_route("GET", f"{_SESSIONS}/{{id}}/line_items", None, line_items),
    stripe_route("POST", f"{_SESSIONS}/{{id}}/expire", Expand.of, expire_session, "expire", _its_session),
    stripe_route("GET", "/v1/payment_intents/{id}", params.ExpandIntent.of, retrieved(INTENTS, "intent")),
    stripe_route("GET", "/v1/charges/{id}", None, retrieved(CHARGES)),
    stripe_route("POST", "/v1/refunds", params.NewRefund.of, create_refund, "refund", _its_payment),
    stripe_route("GET", "/v1/refunds", ListedReversals.of, listed(REFUNDS)),
    stripe_route("GET", "/v1/refunds/{id}", None, retrieved(REFUNDS)),
    stripe_route("POST", "/v1/refunds/{id}/cancel", None, changed(REFUNDS, reversals.cancel_refund), "refund"),
    stripe_route("GET", "/v1/disputes", ListedReversals.of, listed(DISPUTES)),
    stripe_route("GET", "/v1/disputes/{id}", None, retrieved(DISPUTES)),
    stripe_route("POST", "/v1/disputes/{id}", params.Response.of, changed(DISPUTES, reversals.respond, evidence)),
    stripe_route("POST", "/v1/disputes/{id}/close", None, changed(DISPUTES, reversals.close)),
    stripe_route("GET", "/v1/events", params.ListedEvents.of, listed(EVENTS)),
    stripe_route("GET", "/v1/events/{id}", None, retrieved(EVENTS)),
    stripe_route("", "/v1/{rest:path}", None, unrecognized),
]
