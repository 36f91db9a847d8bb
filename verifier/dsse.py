"""DSSE envelopes with one Ed25519 signature: bytes sealed under a type, opened only with a known key.

The protocol is DSSE v1 (github.com/secure-systems-lab/dsse). Of the many spellings that JSON and base64 allow, one is
written and read: a reader builds the envelope anew from what it understood and compares bytes, so there is no byte that
could be changed unnoticed. The payload's own bytes are stored, never a re-serialisation of them.

Law: `unseal(seal(p, t, k), t, [k.public]).payload == p`.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from artifact.format.architecture import Frozen
from artifact.format.errors import shown
from artifact.format.manifest import Sha256
from verifier.keys import SIGNATURE_BYTES, PrivateKey, PublicKey
from verifier.signing_errors import BadEnvelope, BadSignature, UnknownKey

MAX_ENVELOPE_BYTES: Final = 4 * 1024 * 1024

Base64 = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9+/]*={0,2}\z")]


class EnvelopeSignature(Frozen):
    """One signature; the key id is a hint of which key to try, the signature decides."""

    keyid: Sha256
    sig: Base64


class Envelope(Frozen):
    """The JSON object of a DSSE envelope."""

    payload: Base64
    payload_type: Annotated[str, Field(alias="payloadType", min_length=1, max_length=200)]
    signatures: Annotated[tuple[EnvelopeSignature, ...], Field(min_length=1, max_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a verified envelope held, and whose signature it bore."""

    payload: bytes = field(repr=False)
    keyid: str


def pae(payload: bytes, payload_type: str) -> bytes:
    """The bytes that are signed: DSSE's pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, payload_type: str, key: PrivateKey) -> bytes:
    """Sign `payload` under its type.

    Returns:
        The envelope as one line of JSON without a line end.

    Raises:
        ValueError: the envelope would be larger than any reader takes.
    """
    envelope = _serialise(payload, payload_type, keyid=key.public.keyid, signature=key.sign(pae(payload, payload_type)))
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise ValueError(f"payload: expected an envelope of at most {MAX_ENVELOPE_BYTES} bytes, got {len(envelope)}")
    return envelope


def unseal(raw: bytes, payload_type: str, keys: Sequence[PublicKey]) -> Sealed:
    """Open an envelope: bounds, schema, form and type first, then the key, then the signature.

    Args:
        raw: any bytes.
        payload_type: the only type that is taken.
        keys: the keys that are trusted; several while a service changes its key.

    Raises:
        BadEnvelope: not an envelope in the one form of this module, or of another payload type.
        UnknownKey: signed with a key that is not among `keys`.
        BadSignature: payload, type or signature were changed.
    """
    envelope = _parse(raw)
    payload, claimed = _decoded(envelope.payload, "payload"), envelope.signatures[0]
    signature = _decoded(claimed.sig, "signatures[0].sig")
    if _serialise(payload, envelope.payload_type, keyid=claimed.keyid, signature=signature) != raw:
        raise BadEnvelope("envelope", expected="its one canonical spelling", got="another spelling of the same content")
    if envelope.payload_type != payload_type:
        raise BadEnvelope("envelope.payloadType", expected=payload_type, got="another type")
    key = next((key for key in keys if key.keyid == claimed.keyid), None)
    if key is None:
        known = " or ".join(key.keyid for key in keys) or "a known key"
        raise UnknownKey("envelope.signatures[0].keyid", expected=known, got=claimed.keyid)
    if len(signature) != SIGNATURE_BYTES:
        expected, got = f"{SIGNATURE_BYTES} bytes", f"{len(signature)} bytes"
        raise BadSignature("envelope.signatures[0].sig", expected=expected, got=got)
    key.verify(signature, pae(payload, payload_type))
    return Sealed(payload=payload, keyid=key.keyid)


def _parse(raw: bytes) -> Envelope:
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise BadEnvelope("envelope", expected=f"at most {MAX_ENVELOPE_BYTES} bytes", got=f"{len(raw)} bytes or more")
    try:
        return Envelope.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(("envelope", *(shown(str(step))[1:-1] for step in first["loc"])))
        raise BadEnvelope(where, expected="a DSSE envelope with one signature", got=first["msg"]) from None


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadEnvelope(f"envelope.{where}", expected="base64", got="a wrong length or padding") from None


def _serialise(payload: bytes, payload_type: str, *, keyid: str, signature: bytes) -> bytes:
    fields = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(fields, separators=(",", ":")).encode()
