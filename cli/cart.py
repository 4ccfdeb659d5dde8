"""The cart as it is typed: `pen`, `notebook:2`."""

import re

import typer

_ITEM = re.compile(r"(?P<sku>[^:\s]+)(?::(?P<quantity>[0-9]{1,9}))?")


def parse_cart(items: list[str]) -> list[dict[str, object]]:
    """`["pen:2", "pen", "notebook"]` is three pens and a notebook, in the order first named.

    Only the shape is checked here; which SKUs there are and how many may be bought is the shop's word. Raises
    `typer.BadParameter` (exit code 2) for what is not `SKU` or `SKU:QUANTITY`.
    """
    quantities: dict[str, int] = {}
    for item in items:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise typer.BadParameter(f"{item!r} is not SKU or SKU:QUANTITY, such as pen or notebook:2")
        quantities[match["sku"]] = quantities.get(match["sku"], 0) + int(match["quantity"] or 1)
    return [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]
