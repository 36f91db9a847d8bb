"""Symmetric quantisation: int8 codes, one float scale per slice (docs/format.md, F-60 ...).

Law: `abs(w - dequantize(quantize(w))) <= scale / 2` for every w; no scale floor, no size threshold, no clipping
unless the clip search finds a smaller squared error. Pure numpy; it knows groups and slices, not files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from artifact.format.errors import NonFinite
from artifact.format.manifest import CodesQuantization, FloatType, Group, ManifestBody, QuantizationTable
from artifact.format.tensors import STORED_FLOATS, Parameter, learned_parameters

Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[np.generic]]

MIN_FLOAT16_QUOTIENT: Final = 2.0**-14
MAX_FLOAT16_QUOTIENT: Final = 65504.0
CLIP_FACTORS: Final = tuple(step / 1000 for step in range(1000, 899, -1))
NUMPY_FLOATS: Final[dict[FloatType, type[np.floating[Any]]]] = {
    FloatType.FLOAT32: np.float32,
    FloatType.FLOAT16: np.float16,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """Stored tensors, and the table that describes them (float32 scales where float16 could not hold one)."""

    table: QuantizationTable
    tensors: Tensors


def quantize_tensors(body: ManifestBody, tensors: Mapping[str, Floats], *, clip_search: bool = False) -> Quantized:
    """Turn every learned parameter of `body` into what the payload stores.

    Args:
        body: says the groups' quantisation; its scale types are a wish, float32 replaces float16 where needed.
        tensors: exactly the learned parameters, float32, by name; missing ones are a KeyError, a caller's mistake.
        clip_search: per slice, take the factor in {1, .999, ..., .9} with the least squared error.

    Raises:
        NonFinite: a parameter holds NaN or infinity.
    """
    parameters = learned_parameters(body)
    for parameter in parameters:
        check_finite(parameter.name, tensors[parameter.name])
    table = _with_scale_types(body.quantization, parameters, tensors)
    stored: dict[str, NDArray[np.generic]] = {}
    for parameter in parameters:
        value, quantization = tensors[parameter.name], table.of(parameter.group)
        if isinstance(quantization, CodesQuantization):
            codes, scales = quantize(value, quantization, axis=parameter.slice_axis, clip_search=clip_search)
            stored[parameter.name], stored[parameter.scale_name] = codes, scales
        else:
            stored[parameter.name] = value.astype(STORED_FLOATS[quantization.dtype].numpy)
    return Quantized(table=table, tensors=stored)


def dequantize_tensors(body: ManifestBody, stored: Tensors) -> dict[str, Floats]:
    """The learned parameters in float32, exactly as every reader computes them: code * scale."""
    return {parameter.name: dequantize_parameter(body, stored, parameter) for parameter in learned_parameters(body)}


def dequantize_parameter(body: ManifestBody, stored: Tensors, parameter: Parameter) -> Floats:
    """One learned parameter in float32."""
    if isinstance(body.quantization.of(parameter.group), CodesQuantization):
        return dequantize(stored[parameter.name], stored[parameter.scale_name], axis=parameter.slice_axis)
    return stored[parameter.name].astype(np.float32)


def check_finite(name: str, value: NDArray[np.generic]) -> None:
    """Refuse NaN and infinity without a temporary: minimum and maximum carry both.

    Raises:
        NonFinite: `value` holds one.
    """
    if value.size and not (np.isfinite(value.min()) and np.isfinite(value.max())):
        raise NonFinite(f"tensor {name}", expected="finite numbers", got="NaN or infinity")


def _with_scale_types(
    table: QuantizationTable, parameters: tuple[Parameter, ...], tensors: Mapping[str, Floats]
) -> QuantizationTable:
    """Float32 scales for every group with a quotient that is no normal float16 (F-63)."""
    wide: set[Group] = set()
    for parameter in parameters:
        quantization = table.of(parameter.group)
        if isinstance(quantization, CodesQuantization):
            quotients = _peaks(tensors[parameter.name], parameter.slice_axis) / quantization.max_code
            quotients = quotients[quotients > 0]
            if np.any((quotients < MIN_FLOAT16_QUOTIENT) | (quotients > MAX_FLOAT16_QUOTIENT)):
                wide.add(parameter.group)
    changes = {
        group.value: CodesQuantization(bits=quantization.bits, scale=FloatType.FLOAT32)
        for group in wide
        if isinstance(quantization := table.of(group), CodesQuantization)
    }
    return table.model_copy(update=changes)


def _peaks(weights: Floats, axis: int) -> NDArray[np.float64]:
    """`[slices]` largest magnitude of each slice."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    peaks: NDArray[np.float32] = np.abs(weights).max(axis=others, initial=0.0)
    return peaks.astype(np.float64)


def quantize(
    weights: Floats, quantization: CodesQuantization, *, axis: int, clip_search: bool = False
) -> tuple[NDArray[np.int8], NDArray[np.floating[Any]]]:
    """Codes and scales of one tensor.

    Args:
        weights: float32, finite.
        quantization: bits and scale type; float16 requires every non-zero quotient within its normal range.
        axis: the axis along which slices are taken.
        clip_search: see `quantize_tensors`.

    Returns:
        int8 codes of the shape of `weights`, and `[slices]` scales.
    """
    slices = np.moveaxis(weights, axis, 0)
    peaks = _peaks(weights, axis)
    if clip_search:
        peaks = _search_clip(slices, peaks, quantization)
    scales = _scales(peaks, quantization)
    codes = np.moveaxis(_codes(slices, scales, quantization.max_code), 0, axis)
    return np.ascontiguousarray(codes), scales


def _scales(peaks: NDArray[np.float64], quantization: CodesQuantization) -> NDArray[np.floating[Any]]:
    """The least normal value of the scale's type with scale * max_code >= peak; 1 for an all-zero slice (F-62)."""
    kind = NUMPY_FLOATS[quantization.scale]
    smallest = np.finfo(kind).smallest_normal
    scales = np.maximum((peaks / quantization.max_code).astype(kind), smallest)
    too_small = scales.astype(np.float64) * quantization.max_code < peaks  # exact: 24 + 7 bits
    scales = np.where(too_small, np.nextafter(scales, kind(np.inf)), scales)
    return np.where(peaks == 0, kind(1), scales).astype(kind)


def _codes(slices: Floats, scales: NDArray[np.floating[Any]], max_code: int) -> NDArray[np.int8]:
    """Round-half-even(w / scale), clamped; float64 holds every tie of two float32 exactly."""
    columns = scales.astype(np.float64).reshape(-1, *([1] * (slices.ndim - 1)))
    return np.clip(np.rint(slices / columns), -max_code, max_code).astype(np.int8)


def _search_clip(slices: Floats, peaks: NDArray[np.float64], quantization: CodesQuantization) -> NDArray[np.float64]:
    """`[slices]` the clipped peaks with the least squared error; the larger factor wins a tie."""
    others = tuple(range(1, slices.ndim))
    best_error = np.full(peaks.shape, np.inf)
    best = peaks.copy()
    for factor in CLIP_FACTORS:
        scales = _scales(peaks * factor, quantization)
        columns = scales.astype(np.float64).reshape(-1, *([1] * (slices.ndim - 1)))
        errors = ((_codes(slices, scales, quantization.max_code) * columns - slices) ** 2).sum(axis=others)
        better = errors < best_error
        best_error = np.where(better, errors, best_error)
        best = np.where(better, peaks * factor, best)
    return best


def dequantize(codes: NDArray[np.generic], scales: NDArray[np.generic], *, axis: int) -> Floats:
    """Code * scale in float32, one rounding; infinite where a lawful scale is so large, which no score survives."""
    shape = [1] * codes.ndim
    shape[axis] = -1
    with np.errstate(over="ignore"):
        return codes.astype(np.float32) * scales.astype(np.float32).reshape(shape)


def balance_pair(lora_a: Floats, lora_b: Floats) -> tuple[Floats, Floats]:
    """Rescale each rank so that its row of A and its column of B have equal norm; B A is unchanged (F-66).

    Args:
        lora_a: [R, in].
        lora_b: [out, R].

    Returns:
        The balanced pair; a rank with a zero factor is left as it is.
    """
    norm_a = np.linalg.norm(lora_a.astype(np.float64), axis=1)
    norm_b = np.linalg.norm(lora_b.astype(np.float64), axis=0)
    both = (norm_a > 0) & (norm_b > 0)
    factor = np.sqrt(np.where(both, norm_b, 1.0) / np.where(both, norm_a, 1.0))
    return (lora_a * factor[:, None]).astype(np.float32), (lora_b / factor[None, :]).astype(np.float32)


def balance_tensors(tensors: Mapping[str, Floats]) -> dict[str, Floats]:
    """Every LoRA pair balanced, all else unchanged."""
    balanced = dict(tensors)
    for name in tensors:
        if name.endswith(".lora_a"):
            partner = f"{name.removesuffix('.lora_a')}.lora_b"
            balanced[name], balanced[partner] = balance_pair(tensors[name], tensors[partner])
    return balanced
