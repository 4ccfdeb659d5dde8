"""The control plane: planted faults. Where none is set, they cost a request one look at an empty dict.

A rule names a point and an action there. The points of an operation (`Service.perform`) are `<operation>.before`:
nothing of it is committed yet; and `<operation>.after`: it is committed, the reply is not sent yet. Further points:
`webhook` (an attempt to deliver an event) and `report` (a session as retrieve and list show it).
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, model_validator
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from payment_mock.database import SQL, Database
from payment_mock.domain import wire
from payment_mock.domain.errors import api_error
from payment_mock.domain.methods import DECLINED, UNDER_WAY
from payment_mock.domain.money import MOST_OF_ALL
from payment_mock.domain.objects import Session
from payment_mock.idempotency import Reply

_REPLIES = ("error", "sticky_error", "drop", "redirect", "huge_body", "broken_body")
_ANYWHERE = ("delay", "hold", *_REPLIES)
# And who carries them out: `_ANYWHERE` and `until_deadline` here (`Faults.pass_through`).
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "create.before": (*_ANYWHERE, "alter"),  # `Rule.instead_of`
    "create.after": (*_ANYWHERE, "pay"),  # `Service.perform`
    "pay.before": (*_ANYWHERE, "decline", "complete_unpaid", "until_deadline"),  # `Rule.instead_of`
    "pay.after": _ANYWHERE,
    "expire.before": (*_ANYWHERE, "until_deadline"),
    "expire.after": _ANYWHERE,
    **{f"{point}.{when}": _ANYWHERE for point in ("retrieve", "list", "refund") for when in ("before", "after")},
    "webhook": ("lose", "delay", "duplicate", "reorder", "forge"),  # `Outbox`
    "report": ("override",),  # `Service.reported`
}
# What `alter` and `override` may set: what a shop compares.
_ALTERABLE = ("amount_total", "currency", "client_reference_id", "metadata")
_SETTABLE = {"alter": _ALTERABLE, "override": (*_ALTERABLE, "status", "payment_status")}

_LONGEST_HOLD = 60.0
_HUGE = 64 * 1024 * 1024


class Match(BaseModel, extra="forbid", frozen=True):
    """Which requests a rule is for: all that are given must be equal. Empty: every one."""

    session_id: str | None = None
    client_reference_id: str | None = None
    order_id: str | None = None
    event_type: str | None = None


class RuleInput(BaseModel, extra="forbid", frozen=True):
    """The body of `PUT /_faults`."""

    point: str
    action: str
    times: int | None = Field(1, ge=1, le=1_000_000, description="how often it fires; null: for ever")
    delay_seconds: float = Field(0, ge=-3600, le=86_400, description="waited first; for a hold, its longest time")
    status: int | None = Field(None, ge=400, le=599, description="the HTTP status of an error (default 500)")
    copies: int | None = Field(None, ge=1, le=100, description="extra copies of a duplicated webhook (default 1)")
    match: Match = Match()
    set: dict[str, Any] = Field(default_factory=dict, description="what override and alter change")

    @model_validator(mode="after")
    def _fits(self) -> "RuleInput":
        known = ACTIONS.get(self.point, ())
        if not known:
            raise ValueError(f"unknown point {self.point!r}; known: {', '.join(ACTIONS)}")
        if self.action not in known:
            raise ValueError(f"no action {self.action!r} at {self.point}; known: {', '.join(known)}")
        if self.delay_seconds < 0 and self.action != "until_deadline":
            raise ValueError("delay_seconds is negative, which only until_deadline can be")
        for name, value in self.set.items():
            if name.split(".")[0] not in _SETTABLE.get(self.action, ()):
                raise ValueError(f"{self.action} cannot set {name}")
            if name == "amount_total" and (type(value) is not int or not 1 <= value <= MOST_OF_ALL):
                raise ValueError("set.amount_total must be an integer of minor units, from 1 on")
            if name != "amount_total" and not isinstance(value, str):
                raise ValueError(f"set.{name} must be a string")
            if name == "metadata":
                raise ValueError("set one key of metadata: metadata.order_id")
        return self


class Rule(RuleInput, frozen=False):
    """A rule that has fired so often."""

    id: int
    fired: int = 0
    _gates: set[asyncio.Event] = PrivateAttr(default_factory=set)  # of the requests that it holds

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.fired >= self.times

    @property
    def holding(self) -> int:
        return len(self._gates)

    def fits(self, names: Mapping[str, Any]) -> bool:
        """Whether it can still fire for the session or delivery of these names; none: for a request about neither."""
        return not self.is_spent and all(names.get(name) == value for name, value in self.match if value is not None)

    def changed(self, session: Session) -> Session:
        """A session with what the rule sets; `metadata.<key>` sets one key."""
        fields = {name: value for name, value in self.set.items() if "." not in name}
        metadata = {name.partition(".")[2]: value for name, value in self.set.items() if "." in name}
        return replace(session, **fields, metadata={**session.metadata, **metadata})

    def instead_of(self, given: Any) -> Any:
        """What the operation is given in the place of what was asked for."""
        match self.action:
            case "alter":
                return replace(given, session=self.changed(given.session))
            case "decline":
                return DECLINED
            case "complete_unpaid":
                return UNDER_WAY
        return given

    async def wait(self, subject: Session | None) -> None:
        """As the rule says: a while, until somebody releases it, or until the session's deadline."""
        if self.action == "hold":
            gate = asyncio.Event()
            self._gates.add(gate)
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.delay_seconds or _LONGEST_HOLD):
                        await gate.wait()
            finally:
                self._gates.discard(gate)
        elif self.action != "until_deadline":
            await asyncio.sleep(self.delay_seconds)
        elif subject is not None:
            await asyncio.sleep(max(0.0, subject.deadline + self.delay_seconds - time.time()))

    def release(self) -> int:
        """Every request that is held goes on. Returns how many."""
        gates, self._gates = self._gates, set()
        for gate in gates:
            gate.set()
        return len(gates)


class Faults:
    """The rules, in memory; their rows outlive the process. Both are changed together, one change at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules: dict[int, Rule] = {}
        self._changing = asyncio.Lock()

    def armed(self, operation: str) -> bool:
        """Whether any rule can fire at the operation's points. No I/O."""
        points = (f"{operation}.before", f"{operation}.after")
        return any(rule.point in points and not rule.is_spent for rule in self._rules.values())

    async def load(self) -> None:
        """Learn of the rules that an earlier life of this process set."""
        async with self._changing:
            rows = await self._database.run(SQL["planted"])
            stored = {row["id"]: Rule(id=row["id"], fired=row["fired"], **row["rule"]) for row in rows}
            self._rules = stored | self._rules  # one that was set already may have fired since the rows were read

    def listed(self) -> list[dict[str, Any]]:
        """Every rule with its count, and how many requests it holds at its barrier now."""
        return [rule.model_dump() | {"holding": rule.holding} for rule in self._rules.values()]

    async def add(self, rule: RuleInput) -> int:
        async with self._changing:
            [(rule_id,)] = await self._database.run(SQL["plant"], rule=rule.model_dump())
            self._rules[rule_id] = Rule(id=rule_id, **rule.model_dump())
        return int(rule_id)

    async def remove(self, rule_id: int | None) -> int:
        """Delete one rule or all, whatever became of their rows, and let go what they hold. Returns how many rows."""
        async with self._changing:
            removed = await self._database.run(SQL["remove"], id=rule_id)
            self.release(rule_id)
            self._rules = {} if rule_id is None else {id: rule for id, rule in self._rules.items() if id != rule_id}
        return len(removed)

    def release(self, rule_id: int | None = None) -> int:
        """Open a rule's barrier, or all. Returns how many requests were held there."""
        return sum(rule.release() for rule in self._rules.values() if rule_id in (None, rule.id))

    async def fire(self, point: str, names: Mapping[str, Any]) -> list[Rule]:
        """The rules that fire here and now, in the order they were set. Each firing is counted at once: with `times: 1`
        it is one, even when a hundred requests come together."""
        fired = [rule for rule in self._rules.values() if rule.point == point and rule.fits(names)]
        for rule in fired:
            rule.fired += 1
        if fired:
            await self._database.run(SQL["fired"], ids=[rule.id for rule in fired])
        return fired

    async def pass_through(self, point: str, subject: Session | None) -> list[Rule]:
        """Live through an operation's point: wait, be held, or have the reply replaced (raises `Reply`).

        Returns the rules whose action is the caller's to carry out.
        """
        fired = await self.fire(point, subject.names if subject else {})
        for rule in fired:
            if rule.id in self._rules:  # one that was removed meanwhile could never be released
                await rule.wait(subject)
            if rule.action in _REPLIES:
                raise Reply(_reply(rule), is_sticky=rule.action == "sticky_error")
        return [rule for rule in fired if rule.action not in ("hold", "until_deadline", "delay")]


def _reply(rule: Rule) -> Response:
    """A wrong answer that a provider, or the network before it, can give."""
    match rule.action:
        case "drop":
            return Dropped()
        case "redirect":
            return Response(status_code=302, headers={"location": "http://127.0.0.1:9/elsewhere"})
        case "huge_body":
            return StreamingResponse(_white_space(), media_type="application/json")
        case "broken_body":
            return Response(b'{"id": "cs_test_broken", "object": "checkout.sess', media_type="application/json")
    error = api_error(rule.status or 500)
    headers = {"stripe-should-retry": str(rule.action == "error").lower()} if error.status >= 500 else {}
    return wire.response(error.body, error.status, headers)


async def _white_space() -> AsyncIterator[bytes]:
    """64 MiB of JSON that says nothing, without a length."""
    chunk = b" " * 65_536
    for _ in range(_HUGE // len(chunk)):
        yield chunk


class Dropped(Response):
    """No answer at all: the connection is cut, as when a process dies or the network goes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["cut"]()  # by `protocol.LimitedHttp`
