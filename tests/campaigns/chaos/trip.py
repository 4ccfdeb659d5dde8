"""What a journey goes through, and the customers that it made on the way."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.campaigns.chaos.customer import Customer
from tests.campaigns.chaos.world import World


@dataclass
class Trip:
    """A journey under way: who is on it, and what came of it."""

    world: World
    hasty: str
    """Address of the gateway whose customers have little time to pay."""
    customers: list[Customer] = field(default_factory=list)

    def customer(self, **options: object) -> Customer:
        customer = Customer(self.world, **options)  # type: ignore[arg-type] # its own keywords, passed on
        self.customers.append(customer)
        return customer

    async def check(self) -> None:
        for customer in self.customers:
            await customer.check()


Journey = Callable[[Trip], Awaitable[str]]
"""Answers what came of it. Raises `Violated` when that is wrong."""


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(6)}"
