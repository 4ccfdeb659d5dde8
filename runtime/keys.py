"""Keys for the payloads in Temporal's histories: `CHECKOUT_PAYLOAD_KEYS=new:base64,old:base64`.

Make one with `python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"`. To rotate, append the
new key everywhere (all can decrypt with it), then put it first everywhere (it encrypts), and drop the old one
when Temporal keeps no history under it any more.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

KEY_BYTES = 32  # AES-256
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class PayloadKey:
    """`id` travels with every payload, readable; `secret` is 256 bits and is never shown."""

    id: str
    secret: bytes = field(repr=False)


def parse_payload_keys(text: str) -> tuple[PayloadKey, ...]:
    """The keys, first the one that encrypts. Raises `ValueError`, which quotes no key."""
    keys = tuple(_parse(part.strip(), number) for number, part in enumerate(text.split(","), 1) if part.strip())
    ids = [key.id for key in keys]
    if len(set(ids)) < len(ids):
        raise ValueError("holds two keys with one id")
    if len({key.secret for key in keys}) < len(keys):
        raise ValueError("holds one key twice under two ids; every key must be a random one of its own")
    return keys


def _parse(part: str, number: int) -> PayloadKey:
    key_id, separator, encoded = part.partition(":")
    if not separator or not _ID.fullmatch(key_id):
        raise ValueError(f"key {number} must be written id:base64key, the id 1 to 64 of A-Z a-z 0-9 _ . -")
    try:
        # Both alphabets of RFC 4648: `openssl rand -base64 32` writes one, `secrets.token_urlsafe` the other.
        padded = encoded.replace("-", "+").replace("_", "/").rstrip("=")
        secret = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {key_id!r} is not base64") from None
    if len(secret) != KEY_BYTES:
        raise ValueError(f"key {key_id!r} has {len(secret) * 8} bits, it must have {KEY_BYTES * 8}")
    if len(set(secret)) < 8:
        raise ValueError(f"key {key_id!r} is not random")
    return PayloadKey(key_id, secret)
