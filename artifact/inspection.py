"""What `inspect` and `diff` find out about artifacts, as plain JSON-able data; rendering is `artifact.view`'s.

Knows no terminal and no torch.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from artifact.format import container, limits
from artifact.format.accounting import Share, by_group, shares
from artifact.format.container import Artifact
from artifact.format.tensors import count_frozen, count_learned, expected_tensors

Json = dict[str, Any]

ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRow:
    """One stored tensor and its bytes before and after compression."""

    name: str
    group: str
    dtype: str
    shape: tuple[int, ...]
    inflated_bytes: int
    compressed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Everything `inspect` shows. Sizes in bytes; `margin_bytes` is the file's alone, a track may count code on top."""

    file_bytes: int
    sha256: str
    margin_bytes: int
    num_learned: int
    num_frozen: int
    overhead_bytes: int
    """Head, manifest and lengths: the file without its payload."""
    groups: dict[str, tuple[int, int]]
    """Name -> (inflated, compressed)."""
    tensors: tuple[TensorRow, ...]
    manifest: Json

    def to_json(self) -> Json:
        """For `--json`; groups become objects."""
        groups = {name: {"inflated_bytes": a, "compressed_bytes": b} for name, (a, b) in self.groups.items()}
        return asdict(self) | {"groups": groups}


def inspect(artifact: Artifact) -> Inspection:
    """Measure an artifact that was read."""
    parts = shares(artifact)
    file_bytes = len(container.write(artifact))
    return Inspection(
        file_bytes=file_bytes,
        sha256=artifact.sha256,
        margin_bytes=limits.TRACK_FILE_BYTES - file_bytes,
        num_learned=count_learned(artifact.manifest),
        num_frozen=count_frozen(artifact.manifest),
        overhead_bytes=file_bytes - len(artifact.payload),
        groups=by_group(parts),
        tensors=tuple(_rows(artifact, parts)),
        manifest=artifact.manifest.model_dump(mode="json", exclude_none=True),
    )


def _rows(artifact: Artifact, parts: tuple[Share, ...]) -> Iterator[TensorRow]:
    for spec, part in zip(expected_tensors(artifact.manifest), parts[1:], strict=True):
        yield TensorRow(
            name=spec.name,
            group=spec.group.value,
            dtype=spec.stored.value,
            shape=spec.shape,
            inflated_bytes=part.inflated_bytes,
            compressed_bytes=part.compressed_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorChange:
    """A learned parameter that differs; `largest` is the largest absolute difference of its dequantised values.

    It is infinite where one of two values is, which a scale near float32's largest number makes.
    """

    name: str
    num_changed: int
    num_elements: int
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What `diff` says: dotted manifest paths with both values, and parameters."""

    same_file: bool
    fields: dict[str, tuple[Any, Any]]
    tensors: tuple[TensorChange, ...]
    only_in_first: tuple[str, ...]
    only_in_second: tuple[str, ...]
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]

    @property
    def same(self) -> bool:
        """Equal manifest and tensors; the compressed bytes may still differ."""
        return not (self.fields or self.tensors or self.only_in_first or self.only_in_second or self.reshaped)

    def to_json(self) -> Json:
        """For `--json`, which has no infinity: such a difference is null."""
        rows = [asdict(row) | {"largest": row.largest if math.isfinite(row.largest) else None} for row in self.tensors]
        return {"same": self.same} | asdict(self) | {"tensors": rows}


def compare(first: Artifact, second: Artifact) -> Difference:
    """Say how two artifacts differ."""
    one, two = first.parameters(), second.parameters()
    both = [name for name in one if name in two]
    changes = [_change(name, one[name], two[name]) for name in both if one[name].shape == two[name].shape]
    return Difference(
        same_file=first.sha256 == second.sha256,
        fields=dict(_changed_fields(_flat(first), _flat(second))),
        tensors=tuple(change for change in changes if change.num_changed),
        only_in_first=tuple(name for name in one if name not in two),
        only_in_second=tuple(name for name in two if name not in one),
        reshaped={name: (one[name].shape, two[name].shape) for name in both if one[name].shape != two[name].shape},
    )


def _change(name: str, one: np.ndarray[Any, Any], two: np.ndarray[Any, Any]) -> TensorChange:
    changed, distance = one != two, np.zeros(one.shape)
    np.subtract(one, two, out=distance, where=changed, dtype=np.float64)  # equal infinities would give NaN
    largest = float(np.abs(distance).max())
    return TensorChange(name=name, num_changed=int(np.count_nonzero(changed)), num_elements=one.size, largest=largest)


def _flat(artifact: Artifact) -> Json:
    return dict(_leaves(artifact.manifest.model_dump(mode="json", exclude_none=True), ""))


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _changed_fields(one: Json, two: Json) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for path in [*one, *(path for path in two if path not in one)]:
        pair = one.get(path, ABSENT), two.get(path, ABSENT)
        if pair[0] != pair[1]:
            yield path, pair
