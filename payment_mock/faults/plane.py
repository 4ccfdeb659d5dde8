"""The rules at work: a cache of them, the barrier, and what happens at an operation's points."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from payment_mock.database import Database
from payment_mock.domain.objects import Session
from payment_mock.faults.replies import FaultReply
from payment_mock.faults.rules import REPLIES, Rule, RuleInput, Subject
from payment_mock.store import faults as store

_LONGEST_HOLD = 60.0


class Faults:
    """`armed` is what the hot path asks; all else happens only where a rule is set."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_point: dict[str, list[Rule]] = {}
        self._version: Any = None
        self._barriers: dict[int, asyncio.Event] = {}
        self._holding: defaultdict[int, int] = defaultdict(int)

    def armed(self, operation: str) -> bool:
        """Whether any rule is set for the operation's points. A dictionary look-up, no I/O."""
        rules = self._by_point
        return bool(rules) and (f"{operation}.before" in rules or f"{operation}.after" in rules)

    def has(self, point: str) -> bool:
        return point in self._by_point

    async def refresh(self, *, force: bool = False) -> None:
        """Reload the rules when another process, or an earlier life of this one, changed them."""
        async with self._database.single() as connection:
            version = await store.version(connection)
            if not force and version == self._version:
                return
            by_point: dict[str, list[Rule]] = {}
            for rule in await store.every(connection):
                if not rule.is_spent:
                    by_point.setdefault(rule.point, []).append(rule)
            self._by_point, self._version = by_point, version

    async def listed(self) -> list[dict[str, Any]]:
        """Every rule with its count, and how many requests it holds at its barrier now."""
        async with self._database.single() as connection:
            rules = await store.every(connection)
        return [rule.model_dump(exclude_none=False) | {"holding": self._holding[rule.id]} for rule in rules]

    async def add(self, rule: RuleInput) -> int:
        async with self._database.single() as connection:
            rule_id = await store.add(connection, rule)
        await self.refresh(force=True)
        return rule_id

    async def remove(self, rule_id: int | None) -> int:
        """Delete one rule or all, and let go what they hold."""
        async with self._database.single() as connection:
            removed = await store.remove(connection, rule_id)
        self.release(rule_id)
        await self.refresh(force=True)
        return removed

    def release(self, rule_id: int | None = None) -> int:
        """Open a barrier (or all): every request held there goes on. Returns how many."""
        chosen = [rule_id] if rule_id is not None else list(self._barriers)
        released = sum(self._holding[one] for one in chosen)
        for one in chosen:
            if (barrier := self._barriers.pop(one, None)) is not None:
                barrier.set()
        return released

    async def fire(self, point: str, subject: Subject) -> Sequence[Rule]:
        """The rules that fire here and now, in the order they were set. Each firing is counted, durably."""
        fired: list[Rule] = []
        for rule in [rule for rule in self._by_point.get(point, ()) if rule.fits(subject)]:
            async with self._database.single() as connection:
                count = await store.fire(connection, rule.id)
            if count is not None:
                fired.append(rule)
            if count is None or (rule.times is not None and count >= rule.times):
                self._drop(rule)
        return fired

    async def pass_through(self, point: str, subject: Subject) -> Sequence[Rule]:
        """Live through an operation's point: wait, be held, or have the reply replaced (raises `FaultReply`).

        Returns the rules whose action is the caller's to carry out (decline, pay, alter, …).
        """
        rest: list[Rule] = []
        for rule in await self.fire(point, subject):
            match rule.action:
                case "hold":
                    await self._hold(rule)
                case "until_deadline":
                    if subject.deadline is not None:
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
        if "report" in self._by_point:
            for rule in await self.fire("report", Subject.of(session)):
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

    def _drop(self, rule: Rule) -> None:
        """Take a spent rule out of the cache, so that the hot path is inert again."""
        left = [other for other in self._by_point.get(rule.point, ()) if other.id != rule.id]
        if left:
            self._by_point[rule.point] = left
        else:
            self._by_point.pop(rule.point, None)
