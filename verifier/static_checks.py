"""The checks that need the file and the rules only, no torch: container, manifest, size, tensors, cost, training."""

from typing import Final

from artifact.format import container, errors, limits
from artifact.format.accounting import by_group, shares
from artifact.format.errors import ArtifactError
from verifier import cost, training_record
from verifier.case import Case
from verifier.checks import Finding
from verifier.counted_code import counted_code_bytes
from verifier.errors import CheckFailed, CheckSkipped, Code, MachineTooSmall
from verifier.report import CheckName, GroupSize, SizeRecord, TensorSize

GIB: Final = 2**30

STAGE: Final[dict[type[ArtifactError], CheckName]] = {
    errors.FileTooLarge: CheckName.CONTAINER,
    errors.BadMagic: CheckName.CONTAINER,
    errors.UnsupportedVersion: CheckName.CONTAINER,
    errors.BadFlags: CheckName.CONTAINER,
    errors.BadManifestLength: CheckName.CONTAINER,
    errors.ManifestNotCanonical: CheckName.MANIFEST,
    errors.DuplicateKey: CheckName.MANIFEST,
    errors.UnknownField: CheckName.MANIFEST,
    errors.InvalidEnum: CheckName.MANIFEST,
    errors.InvalidSeed: CheckName.MANIFEST,
    errors.InvalidValue: CheckName.MANIFEST,
    errors.NoConstruction: CheckName.MANIFEST,
    errors.BadPayloadLength: CheckName.CONTAINER,
    errors.InflateError: CheckName.CONTAINER,
    errors.InflatedSizeMismatch: CheckName.CONTAINER,
    errors.PayloadDigestMismatch: CheckName.CONTAINER,
    errors.BadTensorHeader: CheckName.TENSORS,
    errors.TensorSetMismatch: CheckName.TENSORS,
    errors.BadScale: CheckName.TENSORS,
    errors.NonFinite: CheckName.TENSORS,
    errors.CodeOutOfRange: CheckName.TENSORS,
}
"""Which check a fault of the reader belongs to."""


def check_container(case: Case) -> Finding:
    """Read the file; a fault of its manifest or tensors is kept for their checks."""
    try:
        case.artifact = container.read(case.data)
        case.manifest = case.artifact.manifest
    except ArtifactError as fault:
        case.fault = fault
        _raise_at(CheckName.CONTAINER, case)
    if case.artifact is None:
        return Finding(expected="a whole version 1 file", got="its head", detail="the reader stopped at a later fault")
    inflated = case.artifact.manifest.payload.inflated_bytes
    return Finding(
        expected="a whole version 1 file",
        got=f"{len(case.data):,} bytes, payload {len(case.artifact.payload):,} inflating to {inflated:,}",
    )


def check_manifest(case: Case) -> Finding:
    """The manifest by itself."""
    _raise_at(CheckName.MANIFEST, case)
    case.manifest = case.manifest or container.read_manifest(case.data)
    model = case.manifest.model
    got = f"layers x model_dim {model.num_layers} x {model.model_dim}, vocabulary {model.vocab_size:,}"
    return Finding(expected="a version 1 manifest", got=got)


def check_size(case: Case) -> Finding:
    """Artifact plus counted code against the limit."""
    size = case.size = measure_size(case)
    expected = f"at most {size.limit_bytes:,} bytes of artifact and code"
    got = f"{size.artifact_bytes:,} + {size.code_bytes:,} = {size.total_bytes:,} bytes"
    if size.margin_bytes < 0:
        raise CheckFailed(
            Code.OVER_SIZE,
            expected=expected,
            got=f"{got}, {-size.margin_bytes:,} over",
            hint="`seedgolf inspect` shows where the bytes went; 16 MB is 16,000,000, not 16 MiB",
        )
    return Finding(expected=expected, got=got, detail=f"{size.margin_bytes:,} bytes left")


def measure_size(case: Case) -> SizeRecord:
    """The sizes, and the payload's groups where it could be read."""
    track, found = case.track, case.artifact
    code = counted_code_bytes() if track.counted_code_bytes is None else track.counted_code_bytes
    total = len(case.data) + code
    parts = shares(found) if found else ()
    return SizeRecord(
        artifact_bytes=len(case.data),
        code_bytes=code,
        total_bytes=total,
        limit_bytes=track.limit_bytes,
        margin_bytes=track.limit_bytes - total,
        overhead_bytes=len(case.data) - len(found.payload) if found else None,
        groups=tuple(
            GroupSize(group=name, inflated_bytes=before, compressed_bytes=after)
            for name, (before, after) in by_group(parts).items()
        ),
        tensors=tuple(
            TensorSize(name=part.name, inflated_bytes=part.inflated_bytes, compressed_bytes=part.compressed_bytes)
            for part in parts
            if part.group is not None
        ),
    )


def check_tensors(case: Case) -> Finding:
    """The payload's tensors."""
    _raise_at(CheckName.TENSORS, case)
    assert case.artifact is not None
    count = len(case.artifact.tensors)
    return Finding(expected="the tensors that the manifest implies", got=f"all {count:,}, and their numbers are lawful")


def check_cost(case: Case) -> Finding:
    """What building and scoring would take, against the track.

    Raises:
        CheckFailed: too-costly.
    """
    predicted, allowed = _predict(case), case.track.cost
    quantities = (
        (predicted.parameters, allowed.max_parameters, "{:,} parameters", "declare a smaller network"),
        (
            predicted.memory_bytes / GIB,
            allowed.max_memory_bytes / GIB,
            "{:.2f} GiB to build and score in float32",
            "declare a smaller network, vocabulary or window",
        ),
        (
            predicted.eval_flops,
            allowed.max_eval_flops,
            "{:.2e} operations to score the set",
            "declare a smaller network or a longer stride",
        ),
    )
    for value, cap, text, hint in quantities:
        if value > cap:
            expected, got = f"at most {text.format(cap)}", text.format(value)
            raise CheckFailed(Code.TOO_COSTLY, expected=expected, got=got, hint=hint)
    texts = [(text.format(value), text.format(cap)) for value, cap, text, _ in quantities]
    return Finding(expected="at most " + "; ".join(cap for _, cap in texts), got="; ".join(got for got, _ in texts))


def check_fits(case: Case, *, memory_bytes: int) -> None:
    """Stop before building what this run has too little memory for.

    Raises:
        MachineTooSmall: the prediction is beyond `memory_bytes`.
    """
    needed = _predict(case).memory_bytes
    if needed > memory_bytes:
        texts = f"needs {needed / GIB:.2f} GiB of memory, this run has {memory_bytes / GIB:.2f} GiB"
        raise MachineTooSmall(f"the artifact {texts}")


def _predict(case: Case) -> cost.Cost:
    assert case.manifest is not None
    num_tokens = case.registration.tokens if case.registration else limits.MAX_SEQ_LEN_TOKENS + 1
    return cost.predict(case.manifest, num_tokens=num_tokens)


def check_training_time(case: Case) -> Finding:
    """See `training_record.check_time`."""
    assert case.manifest is not None
    return training_record.check_time(case.manifest.training, case.track)


def check_data_overlap(case: Case) -> Finding:
    """See `training_record.check_overlap`."""
    assert case.manifest is not None
    if case.registration is None:
        raise CheckSkipped("no validation set")
    digests = [shard.sha256 for shard in case.registration.shards]
    return training_record.check_overlap(case.manifest.training, case.track, val_shards=digests)


def _raise_at(stage: CheckName, case: Case) -> None:
    if case.fault is not None and STAGE[type(case.fault)] is stage:
        raise case.fault
