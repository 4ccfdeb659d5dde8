"""An encrypting payload codec: what Temporal stores of a checkout, only we can read (docs/decisions/0018).

AES-256-GCM (NIST SP 800-38D) over the whole payload, with a random nonce of 96 bits: good for 2^32 payloads a key. The
key's id and the workflow that the payload was made for stand beside the ciphertext and are authenticated: whoever can
write into Temporal cannot move one order's "paid" into another order's history.
"""

import copy
import logging
import os
import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WorkflowSerializationContext,
)

from checkout.errors import PayloadKeyMissing
from runtime.checks import PayloadKey

logger = logging.getLogger("runtime.codec")

ENCODING = b"binary/encrypted"  # the name Temporal's own samples use; its UI shows a lock for it
CIPHER = b"AES-256-GCM"
UNREADABLE = b"binary/refused"
_NONCE_BYTES, _TAG_BYTES = 12, 16
_VERSION = b"checkout-payload-1"
# The workflows of a Temporal Schedule run under its id with the time appended.
_SCHEDULED = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class EncryptingCodec(PayloadCodec):
    """Encrypts with the first key, decrypts with all. `workflow_id` is what payloads are bound to, if known."""

    def __init__(
        self, keys: Sequence[PayloadKey], *, accepts_plaintext: bool = True, workflow_id: str | None = None
    ) -> None:
        self._encrypting = keys[0].id.encode()
        self._ciphers: Mapping[bytes, AESGCM] = {key.id.encode(): AESGCM(key.secret) for key in keys}
        self._accepts_plaintext = accepts_plaintext
        self._workflow_id = workflow_id

    def with_context(self, context: SerializationContext) -> "EncryptingCodec":
        """Called by the SDK before it encodes or decodes for a workflow."""
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        bound = copy.copy(self)
        bound._workflow_id = context.workflow_id
        return bound

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self.encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self.decrypt(payload) for payload in payloads]

    def encrypt(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        workflow_id = (self._workflow_id or "").encode()
        text = payload.SerializeToString()
        sealed = self._ciphers[self._encrypting].encrypt(nonce, text, _associated(self._encrypting, workflow_id))
        metadata = {
            "encoding": ENCODING,
            "encryption-cipher": CIPHER,
            "encryption-key-id": self._encrypting,
            "encryption-workflow": workflow_id,
        }
        return Payload(metadata=metadata, data=nonce + sealed)

    def decrypt(self, payload: Payload) -> Payload:
        """The payload as it was; one that cannot be trusted, as no converter reads it: so a signal of junk is dropped,
        each time the history is replayed, instead of stopping its workflow for ever. One that is not encrypted passes,
        unless that is refused by now. Raises `PayloadKeyMissing`: the task is retried until the key is deployed."""
        if payload.metadata.get("encoding") != ENCODING:
            return payload if self._accepts_plaintext else _unreadable(payload, "is not encrypted")
        key_id = payload.metadata.get("encryption-key-id", b"")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            name = key_id.decode("ascii", "replace")[:64]
            raise PayloadKeyMissing(f"CHECKOUT_PAYLOAD_KEYS holds no key {name!r}, with which a payload is encrypted")
        workflow_id = payload.metadata.get("encryption-workflow", b"")
        if not self._is_for_us(workflow_id):
            return _unreadable(payload, "was made for another workflow")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        if len(sealed) < _TAG_BYTES:
            return _unreadable(payload, "is truncated")
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _associated(key_id, workflow_id)))
        except (InvalidTag, DecodeError):
            return _unreadable(payload, "does not verify")

    def _is_for_us(self, workflow_id: bytes) -> bool:
        if self._workflow_id is None or not workflow_id:
            return True
        ours, theirs = self._workflow_id, workflow_id.decode("utf-8", "replace")
        return ours == theirs or (ours.startswith(theirs) and bool(_SCHEDULED.fullmatch(ours[len(theirs) :])))


def _associated(key_id: bytes, workflow_id: bytes) -> bytes:
    """What is authenticated besides the text. Lengths first: no two meanings share one encoding."""
    parts = (_VERSION, CIPHER, key_id, workflow_id)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _unreadable(payload: Payload, why: str) -> Payload:
    key_id = payload.metadata.get("encryption-key-id", b"-").decode("ascii", "replace")
    logger.error("A payload %s (key %s)", why, key_id)
    return Payload(metadata={**payload.metadata, "encoding": UNREADABLE}, data=payload.data)
