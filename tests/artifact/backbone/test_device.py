"""Tensors: any layout, gradients, dtypes, and the pairing of tensors with maps."""

import numpy as np
import pytest
import torch

from artifact.backbone import (
    Distribution,
    DuplicateNameError,
    InvalidDTypeError,
    RandomMap,
    TensorMismatchError,
    weights,
)
from artifact.backbone.device import fill, fill_all

G8 = RandomMap(name="layers.0.mlp.up.weight", distribution=Distribution.G8, shape=(24, 16), exponent=7)
MAPS = [
    RandomMap(name=f"layers.{i}.weight", distribution=distribution, shape=(64, 32), exponent=8)
    for i, distribution in enumerate(d for d in Distribution if d is not Distribution.HADA)
]
EVERY_DTYPE = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])


def expected(random_map: RandomMap, seed: int = 3) -> torch.Tensor:
    m = random_map
    return torch.from_numpy(weights(seed, m.name, m.distribution, m.shape, m.exponent))


@EVERY_DTYPE
def test_a_parameter_is_filled_in_place_without_a_trace_in_autograd(dtype: torch.dtype) -> None:
    parameter = torch.nn.Parameter(torch.zeros(24, 16, dtype=dtype))
    address = parameter.data_ptr()
    fill(parameter, seed=3, random_map=G8)
    assert torch.equal(parameter.float(), expected(G8))
    assert parameter.data_ptr() == address
    assert parameter.grad_fn is None


@EVERY_DTYPE
@pytest.mark.parametrize("random_map", [G8, MAPS[-1]], ids=lambda m: m.distribution)
def test_tensors_that_are_not_contiguous_are_filled(random_map: RandomMap, dtype: torch.dtype) -> None:
    out, in_ = random_map.shape
    transposed, slice_ = torch.zeros(in_, out, dtype=dtype).T, torch.zeros(2 * out, in_ + 3, dtype=dtype)[::2, 1:-2]
    for tensor in (transposed, slice_):
        fill(tensor, seed=3, random_map=random_map)
        assert torch.equal(tensor.float(), expected(random_map))
    assert slice_._base is not None
    assert not slice_._base[1::2].any()
    assert not slice_._base[:, 0].any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.uint8, torch.float8_e4m3fn])
def test_other_dtypes_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InvalidDTypeError, match=f"map '{G8.name}': .* got {dtype}"):
        fill(torch.zeros(24, 16, dtype=dtype), seed=3, random_map=G8)


@pytest.mark.parametrize("shape", [(16, 24), (24,), (384,), (24, 16, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TensorMismatchError, match=r"expected \(24, 16\), got"):
        fill(torch.zeros(shape), seed=3, random_map=G8)


@pytest.mark.parametrize("threads", [1, 2])
@EVERY_DTYPE
def test_all_tensors_are_filled_by_any_number_of_threads(threads: int, dtype: torch.dtype) -> None:
    tensors = {random_map.name: torch.zeros(random_map.shape, dtype=dtype) for random_map in MAPS}
    fill_all(tensors, seed=3, maps=MAPS, threads=threads)
    for random_map in MAPS:
        assert torch.equal(tensors[random_map.name].float(), expected(random_map)), random_map


def test_a_map_without_tensor_and_a_tensor_without_map_are_refused() -> None:
    tensors = {random_map.name: torch.zeros(random_map.shape) for random_map in MAPS}
    with pytest.raises(TensorMismatchError, match="'extra' has no partner"):
        fill_all({**tensors, "extra": torch.zeros(1, 1)}, seed=3, maps=MAPS)
    with pytest.raises(TensorMismatchError, match=r"'layers\.0\.weight' has no partner"):
        fill_all({name: tensor for name, tensor in tensors.items() if "0" not in name}, seed=3, maps=MAPS[:10])
    with pytest.raises(DuplicateNameError, match=r"'layers\.0\.weight'"):
        fill_all(tensors, seed=3, maps=[*MAPS, MAPS[0]])
    assert not any(tensor.any() for tensor in tensors.values())


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    tensors = {random_map.name: torch.zeros(1, 1) for random_map in MAPS}
    with pytest.raises(TensorMismatchError):
        fill_all(tensors, seed=3, maps=MAPS, threads=2)


@pytest.mark.cuda
@EVERY_DTYPE
def test_tensors_on_a_gpu_hold_what_numpy_makes(dtype: torch.dtype) -> None:
    large = RandomMap(name="large", distribution=Distribution.G8, shape=(2304, 769), exponent=9)
    for random_map in (*MAPS, large):
        tensor = torch.zeros(random_map.shape, dtype=dtype, device="cuda")
        fill(tensor, seed=3, random_map=random_map)
        assert np.array_equal(tensor.float().cpu().numpy(), expected(random_map).numpy()), random_map
