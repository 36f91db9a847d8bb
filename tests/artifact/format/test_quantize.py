"""The laws of the quantiser."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from artifact.format import quantize
from artifact.format.errors import NonFinite
from artifact.format.manifest import CodesQuantization, FloatType, ManifestBody, from_json
from artifact.format.tensors import learned_parameters
from tests.forge import good_manifest

BITS = st.sampled_from([8, 7, 6, 5, 4])
MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
)


def codes(bits: int, scale: FloatType = FloatType.FLOAT32) -> CodesQuantization:
    return from_json(CodesQuantization, {"bits": bits, "scale": scale.value})


@given(MATRICES, BITS, st.sampled_from([0, 1]))
def test_the_error_is_at_most_half_a_scale(weights: NDArray[np.float32], bits: int, axis: int) -> None:
    stored, scales = quantize.quantize(weights, codes(bits), axis=axis)
    columns = scales.astype(np.float64).reshape((-1, 1) if axis == 0 else (1, -1))
    exact = stored.astype(np.float64) * columns
    assert np.all(np.abs(weights - exact) <= columns / 2)
    assert np.abs(stored).max() <= codes(bits).max_code


@given(MATRICES, BITS)
def test_a_scale_is_the_least_value_of_its_type_that_reaches_the_peak(weights: NDArray[np.float32], bits: int) -> None:
    _, scales = quantize.quantize(weights, codes(bits), axis=0)
    peaks = np.abs(weights).max(axis=1).astype(np.float64)
    reach = scales.astype(np.float64) * codes(bits).max_code
    below = np.nextafter(scales, np.float32(0)).astype(np.float64) * codes(bits).max_code
    smallest = np.finfo(np.float32).smallest_normal
    assert np.all((peaks == 0) | ((reach >= peaks) & ((below < peaks) | (scales == smallest))))
    assert np.all((peaks != 0) | (scales == 1))


@given(
    arrays(np.float16, 5, elements=st.floats(2**-14, 500, width=16)),
    BITS,
)
def test_float16_scales_never_clip_the_peak(values: NDArray[np.float16], bits: int) -> None:
    weights = values.astype(np.float32)[:, None] * np.float32(1.0009765625)
    stored, scales = quantize.quantize(weights, codes(bits, FloatType.FLOAT16), axis=0)
    assert scales.dtype == np.float16
    assert np.all(np.abs(stored) == np.rint(weights.astype(np.float64) / scales.astype(np.float64)[:, None]))


def test_ties_round_to_even() -> None:
    weights = np.array([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5]], np.float32)
    stored, scales = quantize.quantize(weights, codes(8), axis=0)
    assert scales.tolist() == [1.0]
    assert stored.tolist() == [[127, 0, 2, 2, 0, -2]]


def test_lora_b_has_one_scale_per_column() -> None:
    weights = np.array([[127.0, 1.27], [0.0, -1.27]], np.float32)
    stored, scales = quantize.quantize(weights, codes(8), axis=1)
    assert scales.shape == (2,)
    assert stored.tolist() == [[127, 127], [0, -127]]


def test_a_group_takes_float32_scales_when_one_is_no_normal_float16() -> None:
    body = from_json(ManifestBody, good_manifest())
    tensors = {p.name: np.ones(p.shape, np.float32) for p in learned_parameters(body)}
    tensors["layers.0.attn.q.lora_a"][1] = 127 * 2.0**-15
    table = quantize.quantize_tensors(body, tensors).table
    assert table.of(quantize.Group.LORA_A) == codes(8)
    assert table.of(quantize.Group.EMBEDDING) == codes(8, FloatType.FLOAT16)


def test_a_zero_slice_costs_nothing_and_says_nothing_about_its_group() -> None:
    body = from_json(ManifestBody, good_manifest())
    tensors = {p.name: np.ones(p.shape, np.float32) for p in learned_parameters(body)}
    tensors["embed.weight"][3] = 0
    result = quantize.quantize_tensors(body, tensors)
    assert result.table == body.quantization
    assert result.tensors["embed.weight.scale"][3] == 1
    assert not result.tensors["embed.weight"][3].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_parameter_that_is_not_finite_is_named(bad: float) -> None:
    body = from_json(ManifestBody, good_manifest())
    tensors = {p.name: np.ones(p.shape, np.float32) for p in learned_parameters(body)}
    tensors["layers.0.mlp_scale"][2] = bad
    with pytest.raises(NonFinite, match=r"tensor layers\.0\.mlp_scale: expected finite numbers"):
        quantize.quantize_tensors(body, tensors)


@given(MATRICES, BITS)
def test_the_clip_search_never_has_a_larger_error(weights: NDArray[np.float32], bits: int) -> None:
    weights = np.clip(weights, -1e15, 1e15)  # squares stay finite
    plain, searched = (_squared_error(weights, codes(bits), clip_search=search) for search in (False, True))
    assert np.all(searched <= plain)


def _squared_error(weights: NDArray[np.float32], kind: CodesQuantization, *, clip_search: bool) -> NDArray[Any]:
    stored, scales = quantize.quantize(weights, kind, axis=0, clip_search=clip_search)
    return ((stored * scales.astype(np.float64)[:, None] - weights) ** 2).sum(axis=1)


def test_the_clip_search_gains_on_a_slice_with_one_outlier() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(1, 400)).astype(np.float32)
    weights[0, 0] = 3.6
    plain, searched = (_squared_error(weights, codes(4), clip_search=search) for search in (False, True))
    assert searched[0] < 0.97 * plain[0]


@given(st.integers(0, 2**32))
def test_balancing_keeps_the_product_and_equalises_the_norms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lora_a, lora_b = rng.normal(size=(3, 8)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32) * 1e-3
    lora_a[1] = 0
    a, b = quantize.balance_pair(lora_a, lora_b)
    np.testing.assert_allclose(b @ a, lora_b @ lora_a, rtol=1e-5, atol=1e-8)
    norms_a, norms_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=0)
    np.testing.assert_allclose(norms_a[[0, 2]], norms_b[[0, 2]], rtol=1e-5)
    assert np.array_equal(b[:, 1], lora_b[:, 1]), "a rank with a zero factor is left as it is"


def test_dequantised_values_are_exact_products_in_float32() -> None:
    stored = np.array([[-127, 3]], np.int8)
    scales = np.array([0.0123], np.float16)
    expected = np.array([[-127, 3]], np.float32) * np.float32(scales[0])
    assert np.array_equal(quantize.dequantize(stored, scales, axis=0), expected)
