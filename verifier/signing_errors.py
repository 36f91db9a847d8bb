"""Everything that can be wrong with a key or a signed report: one class and one stable code per rule.

    SigningError                   signing-error: the file's fault, safe to show to whoever gave it
      BadKey                       bad-key
      BadEnvelope                  bad-envelope
      UnknownKey                   unknown-key
      BadSignature                 bad-signature
      BadStatement                 bad-statement
      ArtifactMismatch             artifact-mismatch

The order above is the order in which a reader checks. A message says where, what was expected and what came, and never
repeats key material or payload bytes.
"""

from verifier.data_errors import DataError


class SigningError(DataError):
    """A fault of a key or an envelope."""

    code = "signing-error"


class BadKey(SigningError):
    """The file holds no Ed25519 key of the kind that was asked for."""

    code = "bad-key"


class BadEnvelope(SigningError):
    """The bytes are not a DSSE envelope in the one form that is written here."""

    code = "bad-envelope"


class UnknownKey(SigningError):
    """The envelope names a key that the reader was not given."""

    code = "unknown-key"


class BadSignature(SigningError):
    """Payload, payload type or signature were changed after signing."""

    code = "bad-signature"


class BadStatement(SigningError):
    """The signed payload is no in-toto Statement about a report that this version reads."""

    code = "bad-statement"


class ArtifactMismatch(SigningError):
    """The signed report is about another file."""

    code = "artifact-mismatch"
