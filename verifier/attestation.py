"""Signed reports: an in-toto Statement about one artifact, whose predicate is the report, in a DSSE envelope.

Whoever holds the public key checks offline that this key's holder judged exactly this file and said exactly this. The
report is read from the very bytes that were signed. Laws: `verify(sign(r, k), [k.public]).report == r`; equal reports
under one key have equal envelopes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from artifact.format.errors import shown
from verifier.dsse import seal, unseal
from verifier.keys import PrivateKey, PublicKey
from verifier.report import Report, Sha256, Value
from verifier.signing_errors import ArtifactMismatch, BadStatement

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:seedgolf:report:1"
"""The number is the report's version; a URN, because it names a meaning and promises no page."""
UNNAMED: Final = "artifact"


class Digests(Value):
    """What a subject is known by."""

    sha256: Sha256


class Subject(Value):
    """The judged file; its name is the one its author gave it, its digest is its identity."""

    name: Annotated[str, Field(min_length=1)]
    digest: Digests


class Statement(Value):
    """An in-toto Statement, version 1, with one subject and a report about it."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Annotated[Literal["urn:seedgolf:report:1"], Field(alias="predicateType")]
    predicate: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A signed report whose signature holds.

    Attributes:
        report: what was said.
        keyid: whose key said it.
        payload: the signed bytes, the Statement's JSON.
    """

    report: Report
    keyid: str
    payload: bytes = field(repr=False)

    def check_artifact(self, sha256: str) -> None:
        """Check that the report is about the file of this digest.

        Raises:
            ArtifactMismatch: it is about another.
        """
        subject = self.report.artifact.sha256
        if sha256 != subject:
            raise ArtifactMismatch("artifact", expected=f"the file with SHA-256 {subject}", got=f"one with {sha256}")


def sign(report: Report, key: PrivateKey) -> bytes:
    """The signed report: store and serve these bytes as they are."""
    return seal(statement(report), PAYLOAD_TYPE, key)


def statement(report: Report) -> bytes:
    """The bytes that are signed: compact JSON with the fields in their order."""
    fields = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": report.artifact.name or UNNAMED, "digest": {"sha256": report.artifact.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": json.loads(report.to_bytes()),
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def verify(raw: bytes, keys: Sequence[PublicKey]) -> Attestation:
    """Check a signed report.

    Args:
        raw: any bytes.
        keys: the keys that are trusted.

    Raises:
        SigningError: BadEnvelope, UnknownKey, BadSignature or BadStatement.
    """
    sealed = unseal(raw, PAYLOAD_TYPE, keys)
    try:
        parsed = Statement.model_validate_json(sealed.payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(("statement", *(shown(str(step))[1:-1] for step in first["loc"])))
        expected = f"an in-toto Statement with a report ({PREDICATE_TYPE})"
        raise BadStatement(where, expected=expected, got=first["msg"]) from None
    subject, judged = parsed.subject[0].digest.sha256, parsed.predicate.artifact.sha256
    if subject != judged:
        raise BadStatement("statement.subject[0].digest", expected=f"the report's artifact {judged}", got=subject)
    return Attestation(report=parsed.predicate, keyid=sealed.keyid, payload=sealed.payload)
