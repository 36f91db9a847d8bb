"""Envelopes: DSSE's own example, another implementation of it, every changed byte, and hostile input."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from verifier.dsse import MAX_ENVELOPE_BYTES, pae, seal, unseal
from verifier.keys import PrivateKey, new_key
from verifier.signing_errors import BadEnvelope, BadSignature, SigningError, UnknownKey

KIND = "application/vnd.in-toto+json"
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
KEY = new_key()


def fields(**changes: object) -> dict[str, Any]:
    """A good envelope's JSON object with some fields replaced."""
    good: dict[str, Any] = json.loads(seal(PAYLOAD, KIND, KEY))
    return good | changes


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def library_key(key: PrivateKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.public.ed25519, keyid=key.public.keyid)


def test_the_signed_bytes_are_those_of_the_protocol_page() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae(b"hello world", "http://example.com/HelloWorld") == expected


@given(payload=st.binary(max_size=300), kind=st.text(min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_what_was_sealed_comes_back(payload: bytes, kind: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in kind):
        return  # no UTF-8 form
    opened = unseal(seal(payload, kind, KEY), kind, [KEY.public])
    assert opened.payload == payload
    assert opened.keyid == KEY.public.keyid


def test_securesystemslib_accepts_our_envelope() -> None:
    envelope = Envelope.from_dict(json.loads(seal(PAYLOAD, KIND, KEY)))
    assert envelope.payload == PAYLOAD
    assert list(envelope.verify([library_key(KEY)], threshold=1)) == [KEY.public.keyid]
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([library_key(KEY)], threshold=1)


def test_we_accept_an_envelope_of_securesystemslib_and_write_the_same_bytes() -> None:
    envelope = Envelope(PAYLOAD, KIND, {})
    envelope.sign(CryptoSigner(KEY.ed25519, library_key(KEY)))
    raw = compact(envelope.to_dict())
    assert unseal(raw, KIND, [KEY.public]).payload == PAYLOAD
    assert raw == seal(PAYLOAD, KIND, KEY)


def test_every_changed_byte_is_caught() -> None:
    raw = seal(PAYLOAD, KIND, KEY)
    for offset in range(len(raw)):
        for flipped in (raw[offset] ^ 1, raw[offset] ^ 0x20, 0x41 if raw[offset] != 0x41 else 0x42):
            changed = raw[:offset] + bytes([flipped]) + raw[offset + 1 :]
            with pytest.raises(SigningError):
                unseal(changed, KIND, [KEY.public])


def test_every_missing_or_added_byte_is_caught() -> None:
    raw = seal(PAYLOAD, KIND, KEY)
    for offset in range(len(raw) + 1):
        for changed in (raw[:offset] + raw[offset + 1 :], raw[:offset] + b" " + raw[offset:]):
            if changed != raw:
                with pytest.raises(SigningError):
                    unseal(changed, KIND, [KEY.public])


def test_base64_with_other_spare_bits_is_another_spelling() -> None:
    raw = seal(b"a", KIND, KEY)
    assert b'"YQ=="' in raw
    with pytest.raises(BadEnvelope, match="canonical spelling"):
        unseal(raw.replace(b'"YQ=="', b'"YR=="'), KIND, [KEY.public])


def test_the_other_form_of_a_signature_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    envelope = fields()
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    s = int.from_bytes(signature[32:], "little") + order
    forged = signature[:32] + s.to_bytes(32, "little")
    envelope["signatures"][0]["sig"] = base64.b64encode(forged).decode()
    with pytest.raises(BadSignature):
        unseal(compact(envelope), KIND, [KEY.public])


def test_a_payload_type_cannot_be_swapped() -> None:
    with pytest.raises(BadEnvelope, match="payloadType"):
        unseal(seal(PAYLOAD, "text/plain", KEY), KIND, [KEY.public])
    with pytest.raises(BadSignature):
        unseal(compact(fields(payloadType="text/plain")), "text/plain", [KEY.public])


def test_an_unknown_key_is_named() -> None:
    other = new_key()
    with pytest.raises(UnknownKey, match=KEY.public.keyid):
        unseal(seal(PAYLOAD, KIND, KEY), KIND, [other.public])
    with pytest.raises(UnknownKey):
        unseal(seal(PAYLOAD, KIND, KEY), KIND, [])


def test_a_key_id_does_not_make_a_signature() -> None:
    envelope = fields()
    other = new_key()
    envelope["signatures"][0]["keyid"] = other.public.keyid
    with pytest.raises(BadSignature):
        unseal(compact(envelope), KIND, [KEY.public, other.public])


def test_one_of_several_keys_is_enough() -> None:
    assert unseal(seal(PAYLOAD, KIND, KEY), KIND, [new_key().public, KEY.public]).keyid == KEY.public.keyid


SIGNATURE = {"keyid": KEY.public.keyid, "sig": "AAAA"}
HOSTILE = {
    "empty": b"",
    "null": b"null",
    "number": b"1",
    "not utf-8": b'{"payload":"\xff"}',
    "not json": b"{",
    "nested 200,000 deep": b"[" * 200_000,
    "nested in a field": b'{"payload":' + b'{"a":' * 100_000,
    "a huge number": b'{"payload":' + b"9" * 100_000 + b"}",
    "no payload": compact({"payloadType": KIND, "signatures": [SIGNATURE]}),
    "payload is a number": compact(fields(payload=1)),
    "payload is not base64": compact(fields(payload="*")),
    "payload is url-safe base64": compact(fields(payload="-_-_")),
    "payload of five characters": compact(fields(payload="AAAAA")),
    "payload all padding": compact(fields(payload="==")),
    "no signature": compact(fields(signatures=[])),
    "two signatures": compact(fields(signatures=[SIGNATURE, SIGNATURE])),
    "signatures an object": compact(fields(signatures=SIGNATURE)),
    "signature without key id": compact(fields(signatures=[{"sig": "AAAA"}])),
    "a key id in capitals": compact(fields(signatures=[SIGNATURE | {"keyid": KEY.public.keyid.upper()}])),
    "a field more": compact(fields(extra=1)),
    "a field with an escape code": compact(fields(**{"\x1b[31mred": 1})),
    "a field in a signature": compact(fields(signatures=[SIGNATURE | {"cert": ""}])),
    "a key twice": seal(PAYLOAD, KIND, KEY).replace(b'{"payload"', b'{"payload":"AAAA","payload"', 1),
    "indented": json.dumps(fields(), indent=2).encode(),
    "a line end": seal(PAYLOAD, KIND, KEY) + b"\n",
    "a byte order mark": b"\xef\xbb\xbf" + seal(PAYLOAD, KIND, KEY),
    "too large": b" " * (MAX_ENVELOPE_BYTES + 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_in_a_short_plain_line(name: str) -> None:
    with pytest.raises(BadEnvelope) as caught:
        unseal(HOSTILE[name], KIND, [KEY.public])
    message = str(caught.value)
    assert message.startswith("envelope")
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 400


def test_a_short_signature_is_a_bad_signature() -> None:
    with pytest.raises(BadSignature, match="64 bytes"):
        unseal(compact(fields(signatures=[SIGNATURE])), KIND, [KEY.public])


@given(raw=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_an_error_of_ours(raw: bytes) -> None:
    with pytest.raises(SigningError):
        unseal(raw, KIND, [KEY.public])


def test_nothing_is_sealed_that_no_reader_would_take() -> None:
    with pytest.raises(ValueError, match="at most"):
        seal(bytes(MAX_ENVELOPE_BYTES), KIND, KEY)
