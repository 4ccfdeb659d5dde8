"""What makes two requests with one key the same request: the cart, not the order in which it is written."""

import hashlib
import json
from collections.abc import Iterable

from checkout.orders import CartLine


def cart_fingerprint(lines: Iterable[CartLine], email: str | None) -> str:
    """SHA-256, as 64 hex digits, over the lines sorted by SKU and the email."""
    canonical = json.dumps(
        {"lines": sorted([line.sku, line.quantity] for line in lines), "email": email},
        separators=(",", ":"),
        sort_keys=True,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()
