"""The file: magic, version, flags, manifest, payload <-> Artifact (docs/format.md, F-1 ...).

`read` is total: any bytes give an Artifact or an ArtifactError, in the order of the format's checks, and no size is
allocated before it was compared with its cap. Reader and writer share `_check_values` and everything below it.

Laws: `read(write(a)) == a`, and `write(read(b)) == b` for every accepted b.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from artifact.format import limits, manifest, payload
from artifact.format.errors import (
    BadFlags,
    BadMagic,
    BadManifestLength,
    BadPayloadLength,
    BadScale,
    CodeOutOfRange,
    FileTooLarge,
    InflatedSizeMismatch,
    PayloadDigestMismatch,
    UnsupportedVersion,
)
from artifact.format.manifest import CodesQuantization, Manifest, ManifestBody
from artifact.format.quantize import check_finite, dequantize_tensors
from artifact.format.tensors import Stored, StoredTensor, check_architecture, expected_tensors

MAGIC: Final = b"\x89SGLF\r\n\x1a"
VERSION: Final = 1
HEAD_BYTES: Final = 16
PAYLOAD_LENGTH_BYTES: Final = 4
SMALLEST_NORMAL: Final = {Stored.F16: 2.0**-14, Stored.F32: 2.0**-126}


@dataclass(frozen=True, kw_only=True, eq=False)
class Artifact:
    """A checked artifact: what it declares, its stored tensors, and the compressed payload it was read from or given.

    Two artifacts are equal when manifest and tensors are; the compressed bytes may differ between zlib builds.
    """

    manifest: Manifest
    tensors: Mapping[str, NDArray[np.generic]] = field(repr=False)
    payload: bytes | memoryview = field(repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Artifact):
            return NotImplemented
        return self.manifest == other.manifest and all(
            np.array_equal(_bits(array), _bits(other.tensors[name])) for name, array in self.tensors.items()
        )

    def __hash__(self) -> int:
        return hash(self.manifest.payload.sha256)

    @cached_property
    def sha256(self) -> str:
        """The artifact's identity: the SHA-256 of the whole file, lower-case hex."""
        return hashlib.sha256(write(self)).hexdigest()

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """The learned parameters in float32, dequantised exactly: code * scale."""
        return dequantize_tensors(self.manifest, self.tensors)


def _bits(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """`array` as integers, so that -0.0 and 0.0 differ as their bytes do."""
    return array.view(f"u{array.dtype.itemsize}")


def read(data: bytes, *, max_bytes: int = limits.MAX_FILE_BYTES) -> Artifact:
    """Read an artifact from the bytes of a file.

    Args:
        data: the whole file.
        max_bytes: the caller's cap on the file, at most the format's own.

    Raises:
        ArtifactError: the first rule that `data` breaks; `artifact.format.errors` lists them in order.
    """
    cap = min(max_bytes, limits.MAX_FILE_BYTES)
    if len(data) > cap:
        raise FileTooLarge("file", expected=f"at most {cap} bytes", got=f"{len(data)} bytes or more")
    view = memoryview(data)
    declared = manifest.parse(bytes(_manifest_bytes(view)))
    check_architecture(declared)
    specs = expected_tensors(declared)
    stream = _payload_stream(view, start=HEAD_BYTES + _u32(view, 12))
    _check_declared_size(declared, specs)
    inflated = payload.inflate(stream, declared.payload.inflated_bytes)
    _check_digest(declared, inflated)
    tensors = payload.parse(inflated, specs)
    _check_values(declared, specs, tensors)
    return Artifact(manifest=declared, tensors=tensors, payload=stream)


def read_manifest(data: bytes) -> Manifest:
    """Read the head and the manifest only; the payload is neither inflated nor looked at.

    Raises:
        ArtifactError: the first rule that head or manifest break.
    """
    declared = manifest.parse(bytes(_manifest_bytes(memoryview(data))))
    check_architecture(declared)
    return declared


def write(artifact: Artifact) -> bytes:
    """The bytes of a file; the compressed payload is the one the artifact holds."""
    raw = artifact.manifest.to_bytes()
    return b"".join(
        (
            MAGIC,
            VERSION.to_bytes(2, "little"),
            bytes(2),
            len(raw).to_bytes(4, "little"),
            raw,
            len(artifact.payload).to_bytes(PAYLOAD_LENGTH_BYTES, "little"),
            artifact.payload,
        )
    )


def assemble(body: ManifestBody, tensors: Mapping[str, NDArray[np.generic]]) -> Artifact:
    """Make an artifact from a payload-less manifest and its stored tensors (`quantize_tensors`); compresses once.

    Raises:
        ArtifactError: the same rules that a reader checks.
    """
    check_architecture(body)
    specs = expected_tensors(body)
    raw = payload.serialise(tensors, specs)
    _check_values(body, specs, tensors)
    fields = body.model_dump(mode="json", exclude_none=True) | {
        "payload": {"codec": "zlib", "inflated_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    }
    declared = manifest.from_json(Manifest, fields)
    _check_manifest_length(len(declared.to_bytes()))
    stored = payload.parse(np.frombuffer(raw, np.uint8), specs)
    return Artifact(manifest=declared, tensors=stored, payload=payload.compress(raw))


def write_file(path: Path, artifact: Artifact) -> None:
    """Write `artifact` to `path` atomically: a reader sees the old file or the whole new one.

    Raises:
        OSError: the folder can't be written.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(write(artifact))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _u32(view: memoryview, offset: int) -> int:
    return int.from_bytes(view[offset : offset + 4], "little")


def _manifest_bytes(view: memoryview) -> memoryview:
    """Check magic, version, flags and length; a field cut off by the end of the file is that field's fault."""
    if bytes(view[:8]) != MAGIC:
        raise BadMagic("offset 0", expected=MAGIC.hex(" "), got=bytes(view[:8]).hex(" ") or "an empty file")
    version = int.from_bytes(view[8:10], "little")
    if len(view) < 10 or version != VERSION:
        got = str(version) if len(view) >= 10 else "the end of the file"
        raise UnsupportedVersion("offset 8", expected=f"format version {VERSION}", got=got)
    flags = int.from_bytes(view[10:12], "little")
    if len(view) < 12 or flags:
        got = f"{flags:#06x}" if len(view) >= 12 else "the end of the file"
        raise BadFlags("offset 10", expected="flags 0", got=got)
    if len(view) < HEAD_BYTES:
        raise BadManifestLength("offset 12", expected="4 bytes of manifest length", got="the end of the file")
    length = _u32(view, 12)
    _check_manifest_length(length)
    if HEAD_BYTES + length > len(view):
        got = f"{length} bytes in a file of {len(view)}"
        raise BadManifestLength("offset 12", expected="a manifest inside the file", got=got)
    return view[HEAD_BYTES : HEAD_BYTES + length]


def _check_manifest_length(length: int) -> None:
    if not limits.MIN_MANIFEST_BYTES <= length <= limits.MAX_MANIFEST_BYTES:
        expected = f"{limits.MIN_MANIFEST_BYTES} to {limits.MAX_MANIFEST_BYTES} bytes of manifest"
        raise BadManifestLength("offset 12", expected=expected, got=f"{length} bytes")


def _payload_stream(view: memoryview, *, start: int) -> memoryview:
    """The payload, which ends the file."""
    rest = len(view) - start - PAYLOAD_LENGTH_BYTES
    if rest < 0:
        got = "the end of the file"
        raise BadPayloadLength(f"offset {start}", expected=f"{PAYLOAD_LENGTH_BYTES} bytes of payload length", got=got)
    length = _u32(view, start)
    if length != rest:
        got = f"{length} bytes declared, {rest} bytes in the file"
        raise BadPayloadLength(f"offset {start}", expected="a payload that ends the file", got=got)
    return view[start + PAYLOAD_LENGTH_BYTES :]


def _check_declared_size(declared: Manifest, specs: tuple[StoredTensor, ...]) -> None:
    implied = payload.inflated_bytes(specs)
    if declared.payload.inflated_bytes != implied:
        expected = f"{implied} bytes, as the declared tensors imply"
        got = f"{declared.payload.inflated_bytes} bytes"
        raise InflatedSizeMismatch("payload.inflated_bytes", expected=expected, got=got)


def _check_digest(declared: Manifest, inflated: NDArray[np.uint8]) -> None:
    digest = hashlib.sha256(inflated.data).hexdigest()
    if digest != declared.payload.sha256:
        raise PayloadDigestMismatch("payload.sha256", expected=declared.payload.sha256, got=digest)


def _check_values(
    body: ManifestBody, specs: tuple[StoredTensor, ...], tensors: Mapping[str, NDArray[np.generic]]
) -> None:
    """Scales first, then floats, then codes: numbers that no reader may compute with."""
    for spec in specs:
        if spec.is_scale:
            _check_scales(spec, tensors[spec.name])
    for spec in specs:
        if spec.stored is not Stored.I8 and not spec.is_scale:
            check_finite(spec.name, tensors[spec.name])
    for spec in specs:
        quantization = body.quantization.of(spec.group)
        if spec.stored is Stored.I8 and isinstance(quantization, CodesQuantization):
            _check_codes(spec.name, tensors[spec.name], quantization)


def _check_scales(spec: StoredTensor, scales: NDArray[np.generic]) -> None:
    low, high = float(scales.min()), float(scales.max())
    if not (np.isfinite(low) and np.isfinite(high) and low >= SMALLEST_NORMAL[spec.stored]):
        got = f"a minimum of {low!r} and a maximum of {high!r}"
        raise BadScale(f"tensor {spec.name}", expected="normal, finite, positive scales", got=got)


def _check_codes(name: str, codes: NDArray[np.generic], quantization: CodesQuantization) -> None:
    low, high, bound = int(codes.min()), int(codes.max()), quantization.max_code
    if low < -bound or high > bound:
        expected = f"codes of {quantization.bits} bits, -{bound} to {bound}"
        raise CodeOutOfRange(f"tensor {name}", expected=expected, got=f"{low} to {high}")
