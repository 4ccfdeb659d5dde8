"""What is measured, and with how much."""

from dataclasses import dataclass

from stack.location import Location


@dataclass(frozen=True)
class Target(Location):
    dialect: str = "shop"
    """How it is bought from (`bench.customer`): `shop`, or `widgets`."""
    more_gateways: tuple[str, ...] = ()
    """Addresses of further gateways, over which the customers spread."""


@dataclass(frozen=True)
class Load:
    """`clients` customers buy `checkouts` things, after `warmup` that do not count.

    `rate` starts at most so many a second (open loop); without it every client begins again when it is done.
    `patience` (seconds) bounds one checkout from Buy to fulfilled. `skus` are bought in turn, one piece each.
    """

    clients: int = 30
    checkouts: int = 300
    warmup: int = 30
    skus: tuple[str, ...] = ("pen",)
    rate: float | None = None
    patience: float = 60.0
