"""The payment service's webhook, as it would sign it."""

import hashlib
import hmac
import json
import secrets
import time

from bench.customer import Bought


def completed(bought: Bought, secret: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a `checkout.session.completed`, of an id of its own. Whether it is true, the shop looks."""
    subject = {"id": bought.session_id, "object": "checkout.session", "client_reference_id": bought.key}
    event = {"id": f"evt_{secrets.token_hex(12)}", "type": "checkout.session.completed", "data": {"object": subject}}
    body, now = json.dumps(event).encode(), int(time.time())
    digest = hmac.new(secret.encode(), b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    return body, {"Content-Type": "application/json", "Stripe-Signature": f"t={now},v1={digest}"}
