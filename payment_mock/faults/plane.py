"""The rules at work: a cache of them, the barrier, what happens at an operation's points, and the wrong answers that a
provider, or the network before it, can give."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import text
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from payment_mock.database import Database
from payment_mock.domain import wire
from payment_mock.domain.errors import api_error
from payment_mock.domain.objects import Session
from payment_mock.faults.rules import REPLIES, Rule, RuleInput
from payment_mock.idempotency import Reply

_LONGEST_HOLD = 60.0
_HUGE = 64 * 1024 * 1024
_ADD = text("INSERT INTO payments.faults (rule) VALUES (CAST(:rule AS jsonb)) RETURNING id")
_REMOVE = text("DELETE FROM payments.faults WHERE CAST(:id AS bigint) IS NULL OR id = CAST(:id AS bigint) RETURNING id")
_ALL = text("SELECT id, fired, rule FROM payments.faults ORDER BY id")
# The count is raised by the statement that grants the firing, so a rule with `times: 1` fires once even when a hundred
# requests reach it together, in several processes.
_FIRE = text("""
    UPDATE payments.faults SET fired = fired + 1
    WHERE id = :id AND (rule->>'times' IS NULL OR fired < CAST(rule->>'times' AS bigint)) RETURNING fired
""")


class Faults:
    """`armed` is what the hot path asks; all else happens only where a rule is set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules: list[Rule] = []  # that can still fire
        self._refreshing = asyncio.Lock()
        self._barriers: dict[int, asyncio.Event] = {}
        self._holding: defaultdict[int, int] = defaultdict(int)

    def armed(self, operation: str) -> bool:
        """Whether any rule is set for the operation's points. No I/O."""
        return any(rule.point in (f"{operation}.before", f"{operation}.after") for rule in self._rules)

    async def refresh(self) -> None:
        """Learn of the rules that another process, or an earlier life of this one, set or removed."""
        async with self._refreshing:  # else an older list could take the place of a newer one
            self._rules = [rule for rule in await self._stored() if not rule.is_spent]

    async def _stored(self) -> list[Rule]:
        return [Rule(id=row.id, fired=row.fired, **row.rule) for row in await self._database.run(_ALL)]

    async def listed(self) -> list[dict[str, Any]]:
        """Every rule with its count, and how many requests it holds at its barrier now."""
        return [rule.model_dump() | {"holding": self._holding[rule.id]} for rule in await self._stored()]

    async def add(self, rule: RuleInput) -> int:
        [added] = await self._database.run(_ADD, rule=rule.model_dump_json())
        await self.refresh()
        return int(added.id)

    async def remove(self, rule_id: int | None) -> int:
        """Delete one rule or all, and let go what they hold. Returns how many."""
        removed = await self._database.run(_REMOVE, id=rule_id)
        self.release(rule_id)
        await self.refresh()
        return len(removed)

    def release(self, rule_id: int | None = None) -> int:
        """Open a barrier (or all): every request held there goes on. Returns how many."""
        chosen = [rule_id] if rule_id is not None else list(self._barriers)
        released = sum(self._holding[one] for one in chosen)
        for one in chosen:
            if (barrier := self._barriers.pop(one, None)) is not None:
                barrier.set()
        return released

    async def fire(self, point: str, subject: object) -> Sequence[Rule]:
        """The rules that fire here and now, in the order they were set. Each firing is counted, durably."""
        fired: list[Rule] = []
        for rule in [rule for rule in self._rules if rule.point == point and rule.fits(subject)]:
            granted = await self._database.run(_FIRE, id=rule.id)
            if granted:
                fired.append(rule)
            if not granted or (rule.times is not None and granted[0].fired >= rule.times):  # gone, or spent
                self._rules = [other for other in self._rules if other.id != rule.id]
        return fired

    async def pass_through(self, point: str, subject: Session | None) -> Sequence[Rule]:
        """Live through an operation's point: wait, be held, or have the reply replaced (raises `FaultReply`).

        Returns the rules whose action is the caller's to carry out (decline, pay, alter, …).
        """
        rest: list[Rule] = []
        for rule in await self.fire(point, subject):
            match rule.action:
                case "hold":
                    await self._hold(rule)
                case "until_deadline":
                    if subject is not None:
                        await asyncio.sleep(max(0.0, subject.deadline + rule.delay_seconds - time.time()))
                case _:
                    await asyncio.sleep(rule.delay_seconds)
            if rule.action in REPLIES:
                raise FaultReply(rule)
            if rule.action not in ("hold", "until_deadline", "delay"):
                rest.append(rule)
        return rest

    async def report(self, session: Session) -> Session:
        """The session as the provider reports it: overridden where a `report` rule says so."""
        for rule in await self.fire("report", session):
            session = rule.changed(session)
        return session

    async def _hold(self, rule: Rule) -> None:
        barrier = self._barriers.setdefault(rule.id, asyncio.Event())
        self._holding[rule.id] += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rule.delay_seconds or _LONGEST_HOLD):
                    await barrier.wait()
        finally:
            self._holding[rule.id] -= 1


class FaultReply(Reply):
    """A planted fault takes the place of the reply. `is_sticky`: the idempotency key is to remember it."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(_response(rule))
        self.is_sticky = rule.action == "sticky_error"


def _response(rule: Rule) -> Response:
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
    is_final = rule.action == "sticky_error"
    headers = {"stripe-should-retry": "false" if is_final else "true"} if error.status >= 500 else {}
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
