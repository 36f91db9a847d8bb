"""The manifest: everything a file declares, as frozen strict values (docs/format.md, Manifest).

`ManifestBody` is what a writer knows before the payload exists; `Manifest` adds the payload's size and digest.
Parsing is total: any bytes give a Manifest or an ArtifactError. Laws: `parse(m.to_bytes()) == m`, and
`parse(b).to_bytes() == b` for every accepted b.
"""

import hashlib
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from artifact.format import canonical, limits
from artifact.format.architecture import Count, Frozen, Network, Real
from artifact.format.errors import ArtifactError, InvalidEnum, InvalidSeed, InvalidValue, UnknownField, shown, wanted

BodyT = TypeVar("BodyT", bound=Frozen)

Text = Annotated[str, StringConstraints(min_length=1, max_length=limits.MAX_TEXT_CHARACTERS)]
Sha256 = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
Seconds = Annotated[Real, Field(ge=0, lt=1e16)]
SafeCount = Annotated[int, Field(ge=0, le=limits.MAX_SAFE_INTEGER)]


def _check_seed(text: str) -> str:
    digits = text.isascii() and text.isdigit() and len(text) <= 20
    if not digits or (len(text) > 1 and text[0] == "0") or int(text) >= 2**64:
        raise InvalidSeed(
            "",
            expected='a decimal string without leading zeros, "0" to "18446744073709551615"',
            got=shown(text),
        )
    return text


Seed = Annotated[str, AfterValidator(_check_seed)]
"""A decimal string: a JSON number would lose bits above 2^53."""


class FloatType(StrEnum):
    """Stored floating-point types."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


class CodesQuantization(Frozen):
    """int8 codes of `bits` bits with one scale per slice (F-60 ...)."""

    bits: Literal[8, 7, 6, 5, 4]
    scale: FloatType

    @property
    def max_code(self) -> int:
        """The largest magnitude of a code."""
        return int(2 ** (self.bits - 1) - 1)


class FloatQuantization(Frozen):
    """Stored as floats."""

    dtype: FloatType


QUANTIZATION_TAGS = ("codes", "float")


def _quantization_tag(value: object) -> str:
    has_bits = isinstance(value, CodesQuantization) or (isinstance(value, dict) and "bits" in value)
    return QUANTIZATION_TAGS[0] if has_bits else QUANTIZATION_TAGS[1]


Quantization = Annotated[
    Annotated[CodesQuantization, Tag("codes")] | Annotated[FloatQuantization, Tag("float")],
    Discriminator(_quantization_tag),
]


class Group(StrEnum):
    """Tensors that share a quantisation."""

    EMBEDDING = "embedding"
    LEARNED = "learned"
    LORA_A = "lora_a"
    LORA_B = "lora_b"
    CONTROL = "control"


class QuantizationTable(Frozen):
    """The quantisation of every group; `control` is all that no other group names."""

    embedding: Quantization
    learned: Quantization
    lora_a: Quantization
    lora_b: Quantization
    control: Quantization

    def of(self, group: Group) -> CodesQuantization | FloatQuantization:
        """The entry of `group`."""
        table: dict[Group, CodesQuantization | FloatQuantization] = {
            Group.EMBEDDING: self.embedding,
            Group.LEARNED: self.learned,
            Group.LORA_A: self.lora_a,
            Group.LORA_B: self.lora_b,
            Group.CONTROL: self.control,
        }
        return table[group]


class Backbone(Frozen):
    """Where the frozen numbers come from; `codes_sha256` is the root digest (backbone.md)."""

    algorithm: Literal["frozen-backbone/1"]
    seed: Seed
    codes_sha256: Sha256


class Payload(Frozen):
    """Size and digest of what the zlib stream inflates to."""

    codec: Literal["zlib"]
    inflated_bytes: Annotated[int, Field(ge=8, le=limits.MAX_INFLATED_BYTES)]
    sha256: Sha256


class Tokenizer(Frozen):
    """`pieces_sha256` identifies it: a `.model` file's bytes differ between sentencepiece versions."""

    name: Text
    vocab_size: Annotated[Count, Field(le=limits.MAX_VOCAB_SIZE)]
    pieces_sha256: Sha256


class EvalMode(StrEnum):
    """Plain windows side by side, or overlapping ones that score the last `stride` targets."""

    PLAIN = "plain"
    SLIDING = "sliding"


class Eval(Frozen):
    """The windows in which the entry wants to be scored; lengths in tokens."""

    mode: EvalMode
    seq_len: Annotated[Count, Field(le=limits.MAX_SEQ_LEN_TOKENS)]
    stride: Annotated[Count, Field(le=limits.MAX_SEQ_LEN_TOKENS)]

    @model_validator(mode="after")
    def _stride_fits(self) -> Self:
        if self.stride > self.seq_len or (self.mode is EvalMode.PLAIN and self.stride != self.seq_len):
            expected = f"{self.seq_len}" if self.mode is EvalMode.PLAIN else f"1 to {self.seq_len}"
            raise InvalidValue("stride", expected=expected, got=str(self.stride))
        return self


class LogSummary(Frozen):
    """What the training log says in three numbers, against which `train_seconds` is held."""

    step_seconds_median: Seconds
    train_loss: Annotated[Real, Field(ge=0, lt=1e16)]
    """Nats per token, mean of the last logged steps."""


class Training(Frozen):
    """How the submitter says the artifact was made. Claimed, never measured here."""

    preset: Text
    config: Annotated[str, StringConstraints(min_length=2)]
    """The resolved config as a canonical JSON string; opaque to this package."""
    config_sha256: Sha256
    seed: Seed
    steps: SafeCount
    tokens: SafeCount
    train_seconds: Seconds
    world_size: Count
    device: Text
    torch: Text
    train_shards: Annotated[tuple[Sha256, ...], Field(max_length=limits.MAX_TRAIN_SHARDS)]
    log_summary: LogSummary

    @model_validator(mode="after")
    def _config_is_its_digest(self) -> Self:
        raw = self.config.encode("utf-8", "surrogatepass")
        if len(raw) > limits.MAX_CONFIG_BYTES:
            expected = f"at most {limits.MAX_CONFIG_BYTES} bytes"
            raise InvalidValue("config", expected=expected, got=f"{len(raw)} bytes")
        digest = hashlib.sha256(raw).hexdigest()
        if digest != self.config_sha256:
            raise InvalidValue("config_sha256", expected=f"the digest of config, {digest}", got=self.config_sha256)
        return self


class ScoreType(StrEnum):
    """The arithmetic a score was measured in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Claims(Frozen):
    """The score the submitter measured on the dequantised tensors; val_loss in nats per token."""

    val_bpb: Annotated[Real, Field(ge=0, lt=1e16)]
    val_loss: Annotated[Real, Field(ge=0, lt=1e16)]
    dtype: ScoreType
    valset_sha256: Sha256


class ManifestBody(Network):
    """A manifest before its payload exists."""

    format: Literal["seedgolf"]
    version: Literal[1]
    name: Text
    author: Text | None = None
    license: Text | None = None
    backbone: Backbone
    quantization: QuantizationTable
    tokenizer: Tokenizer
    eval: Eval
    training: Training | None = None
    claims: Claims | None = None

    @model_validator(mode="after")
    def _one_vocabulary(self) -> Self:
        if self.tokenizer.vocab_size != self.model.vocab_size:
            expected = f"model.vocab_size = {self.model.vocab_size}"
            raise InvalidValue("tokenizer.vocab_size", expected=expected, got=str(self.tokenizer.vocab_size))
        return self


class Manifest(ManifestBody):
    """The whole manifest of a file."""

    payload: Payload

    def to_bytes(self) -> bytes:
        """Canonical JSON; absent optional fields are omitted."""
        return canonical.dumps(self.model_dump(mode="json", exclude_none=True))


def parse(raw: bytes) -> Manifest:
    """Read a manifest: canonical JSON first, then the schema.

    Raises:
        ArtifactError: ManifestNotCanonical, DuplicateKey, UnknownField, InvalidEnum, InvalidSeed or InvalidValue.
    """
    canonical.loads(raw)
    declared = _validated(Manifest, raw)
    written = declared.to_bytes()
    if written != raw:  # pydantic reads `true` as the literal 1, in strict mode too
        place = f"manifest, offset {canonical.first_difference(raw, written)}"
        raise InvalidValue(place, expected="a value of its field's own type", got="one of another type")
    return declared


def from_json(model: type[BodyT], value: object) -> BodyT:
    """Build any manifest value from plain JSON data, with this module's errors instead of pydantic's."""
    return _validated(model, canonical.dumps(value))


def _validated(model: type[BodyT], raw: bytes) -> BodyT:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise translate(error) from None


CODES_OF_PYDANTIC: dict[str, type[ArtifactError]] = {
    "extra_forbidden": UnknownField,
    "enum": InvalidEnum,
    "literal_error": InvalidEnum,
}


def translate(error: ValidationError) -> ArtifactError:
    """The first fault that pydantic found, as the ArtifactError of its rule."""
    first = error.errors(include_url=False)[0]
    path = pairwise(["", *first["loc"]])  # in which pydantic puts a tag behind a quantisation group
    steps = [part for before, part in path if part not in QUANTIZATION_TAGS or before not in set(Group)]
    where = ".".join(shown(part)[1:-1] if isinstance(part, str) else str(part) for part in steps)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ArtifactError):
        return cause.at(where) if where else cause
    kind = CODES_OF_PYDANTIC.get(first["type"], InvalidValue)
    missing = first["type"] == "missing"
    if kind is InvalidValue and steps[-1:] == ["seed"] and not missing:
        kind = InvalidSeed
    got = "no such key" if missing else shown(first["input"])
    return kind(where, expected=wanted(first["msg"]), got=got)
