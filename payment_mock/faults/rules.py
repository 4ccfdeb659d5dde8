"""What a fault rule is, and which are accepted.

A rule names a point and an action there. The points of an operation are `<operation>.before` (nothing of it is
committed yet) and `<operation>.after` (it is committed, the reply is not sent yet). Operations: create, retrieve,
expire, refund, list, pay. Further points: `webhook` (an attempt to deliver an event) and `report` (a session as
retrieve and list show it).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from payment_mock.domain.money import MOST_OF_ALL
from payment_mock.domain.objects import Session

REPLIES = ("error", "sticky_error", "drop", "redirect", "huge_body", "broken_body")
_ANYWHERE = ("delay", "hold", *REPLIES)
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "create.before": (*_ANYWHERE, "alter"),
    "create.after": (*_ANYWHERE, "pay"),
    "pay.before": (*_ANYWHERE, "decline", "complete_unpaid", "until_deadline"),
    "pay.after": _ANYWHERE,
    "expire.before": (*_ANYWHERE, "until_deadline"),
    "expire.after": _ANYWHERE,
    **{f"{point}.{when}": _ANYWHERE for point in ("retrieve", "list", "refund") for when in ("before", "after")},
    "webhook": ("lose", "delay", "duplicate", "reorder", "forge"),
    "report": ("override",),
}
# What `alter` and `override` may set: what a shop compares.
_ALTERABLE = ("amount_total", "currency", "client_reference_id", "metadata")
_SETTABLE = {"alter": _ALTERABLE, "override": (*_ALTERABLE, "status", "payment_status")}


class Match(BaseModel):
    """Which requests a rule is for: all that are given must be equal. Empty: every one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    session_id: str | None = None
    client_reference_id: str | None = None
    order_id: str | None = None
    event_type: str | None = None


class RuleInput(BaseModel):
    """The body of `PUT /_faults`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class Rule(RuleInput):
    """A stored rule, which has fired so often."""

    id: int
    fired: int

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.fired >= self.times

    def fits(self, subject: object) -> bool:
        """Whether it is for this session or delivery; None: for a request that is about neither."""
        return all(getattr(subject, name, None) == value for name, value in self.match if value is not None)

    def changed(self, session: Session) -> Session:
        """A session with what the rule sets; `metadata.<key>` sets one key."""
        fields = {name: value for name, value in self.set.items() if "." not in name}
        metadata = {name.partition(".")[2]: value for name, value in self.set.items() if "." in name}
        return replace(session, **fields, metadata={**session.metadata, **metadata})
