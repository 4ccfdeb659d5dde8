"""`Stripe-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">[,v1=…]` (docs.stripe.com/webhooks/signature).

While a secret is being rotated Stripe signs with each of them, one `v1` apiece; so do we.
"""

import hmac
import time
from collections.abc import Iterable


def signature_header(body: bytes, secrets: Iterable[bytes], at: int | None = None) -> str:
    """The header for exactly these bytes. `at` is unix seconds, by default now."""
    stamp = int(time.time()) if at is None else at
    signed = b"%d.%b" % (stamp, body)
    signatures = [f"v1={hmac.digest(secret, signed, 'sha256').hex()}" for secret in secrets]
    return ",".join([f"t={stamp}", *signatures])
