"""Everything that can be wrong with an artifact: one class and one stable code per rule.

    ArtifactError                  the submitter's fault, safe to show
      FileTooLarge                 file-too-large
      BadMagic                     bad-magic
      UnsupportedVersion           unsupported-version
      BadFlags                     bad-flags
      BadManifestLength            bad-manifest-length
      ManifestNotCanonical         manifest-not-canonical
      DuplicateKey                 duplicate-key
      UnknownField                 unknown-field
      InvalidEnum                  invalid-enum
      InvalidSeed                  invalid-seed
      InvalidValue                 invalid-value
      NoConstruction               no-construction
      BadPayloadLength             bad-payload-length
      InflateError                 inflate-error
      InflatedSizeMismatch         inflated-size-mismatch
      PayloadDigestMismatch        payload-digest-mismatch
      BadTensorHeader              bad-tensor-header
      TensorSetMismatch            tensor-set-mismatch
      BadScale                     bad-scale
      NonFinite                    non-finite
      CodeOutOfRange               code-out-of-range

The order above is the order in which a reader checks; the first fault speaks. A message says where, what was
expected and what came, and never repeats payload bytes.
"""

from typing import ClassVar

SHOWN_CHARACTERS = 80


class ArtifactError(ValueError):
    """A fault of the artifact: `code` is stable, `where`, `expected` and `got` are for people."""

    code: ClassVar[str] = "artifact-error"

    def __init__(self, where: str, *, expected: str, got: str) -> None:
        super().__init__(f"{where}: expected {expected}, got {got}")
        self.where = where
        self.expected = expected
        self.got = got

    def at(self, prefix: str) -> "ArtifactError":
        """The same fault with `prefix` put before its place."""
        where = f"{prefix}.{self.where}" if self.where else prefix
        return type(self)(where, expected=self.expected, got=self.got)


class FileTooLarge(ArtifactError):
    """The file is larger than the caller's cap."""

    code = "file-too-large"


class BadMagic(ArtifactError):
    """The first eight bytes are not the magic (F-2)."""

    code = "bad-magic"


class UnsupportedVersion(ArtifactError):
    """The format version is none that this reader knows (F-3)."""

    code = "unsupported-version"


class BadFlags(ArtifactError):
    """The flags are not zero (F-4)."""

    code = "bad-flags"


class BadManifestLength(ArtifactError):
    """The manifest length is outside its cap or the file (F-5)."""

    code = "bad-manifest-length"


class ManifestNotCanonical(ArtifactError):
    """The manifest is not canonical JSON (F-10 ...)."""

    code = "manifest-not-canonical"


class DuplicateKey(ArtifactError):
    """A JSON object holds a key twice."""

    code = "duplicate-key"


class UnknownField(ArtifactError):
    """The manifest holds a key that version 1 does not define."""

    code = "unknown-field"


class InvalidEnum(ArtifactError):
    """A value is outside its closed set of words."""

    code = "invalid-enum"


class InvalidSeed(ArtifactError):
    """A seed is not a canonical decimal string below 2^64."""

    code = "invalid-seed"


class InvalidValue(ArtifactError):
    """A field is missing, has the wrong type or range, or contradicts another."""

    code = "invalid-value"


class NoConstruction(ArtifactError):
    """A random map's order has no Hadamard or orthogonal construction (backbone.md)."""

    code = "no-construction"


class BadPayloadLength(ArtifactError):
    """The payload length does not end exactly at the end of the file."""

    code = "bad-payload-length"


class InflateError(ArtifactError):
    """The payload is no single complete zlib stream without dictionary."""

    code = "inflate-error"


class InflatedSizeMismatch(ArtifactError):
    """The declared or the real inflated size is not what the manifest implies."""

    code = "inflated-size-mismatch"


class PayloadDigestMismatch(ArtifactError):
    """The inflated payload's SHA-256 is not the manifest's."""

    code = "payload-digest-mismatch"


class BadTensorHeader(ArtifactError):
    """The safetensors header is not in its one canonical form."""

    code = "bad-tensor-header"


class TensorSetMismatch(ArtifactError):
    """Names, shapes or dtypes are not exactly those that the manifest implies."""

    code = "tensor-set-mismatch"


class BadScale(ArtifactError):
    """A quantisation scale is not normal, finite and positive."""

    code = "bad-scale"


class NonFinite(ArtifactError):
    """A float tensor holds NaN or infinity."""

    code = "non-finite"


class CodeOutOfRange(ArtifactError):
    """An int8 code lies outside its group's bits."""

    code = "code-out-of-range"


ERRORS: tuple[type[ArtifactError], ...] = (
    FileTooLarge,
    BadMagic,
    UnsupportedVersion,
    BadFlags,
    BadManifestLength,
    ManifestNotCanonical,
    DuplicateKey,
    UnknownField,
    InvalidEnum,
    InvalidSeed,
    InvalidValue,
    NoConstruction,
    BadPayloadLength,
    InflateError,
    InflatedSizeMismatch,
    PayloadDigestMismatch,
    BadTensorHeader,
    TensorSetMismatch,
    BadScale,
    NonFinite,
    CodeOutOfRange,
)
"""Every class, in the order of the checks."""


def shown(value: object) -> str:
    """A hostile value as short plain ASCII for a message."""
    text = ascii(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def wanted(message: str) -> str:
    """A message of pydantic as what stands behind "expected"."""
    whole = {"Field required": "a value", "Extra inputs are not permitted": "no such field"}
    return whole.get(message, message.removeprefix("Input should be ").replace("Invalid JSON: ", "JSON: "))
