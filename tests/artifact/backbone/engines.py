"""Every engine behind one signature, so that one suite runs on all: (seed, map, number type) -> stored elements."""

import struct
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from artifact.backbone import RandomMap, device, lookup, reference
from artifact.backbone.distributions import TABLE_DISTRIBUTIONS
from artifact.backbone.encoding import Encoding, NumberType
from artifact.backbone.generate import fill_array
from artifact.backbone.lookup import Lookup
from artifact.backbone.stream import Stream

Engine = Callable[[int, RandomMap, NumberType], NDArray[Any]]

FLOAT_TYPES = (NumberType.FLOAT32, NumberType.FLOAT16, NumberType.BFLOAT16)
TORCH_DTYPES = {number_type: dtype for dtype, number_type in device.NUMBER_TYPES.items()}


@cache
def reference_codes(seed: int, random_map: RandomMap) -> list[int]:
    """The reference's codes, row after row."""
    rows = reference.codes(seed, random_map.name, random_map.distribution, random_map.shape)
    return list(chain.from_iterable(rows))


def in_plain_python(seed: int, random_map: RandomMap, number_type: NumberType) -> NDArray[Any]:
    """The reference, scaled and packed with nothing but Python."""
    codes = reference_codes(seed, random_map)
    if number_type in FLOAT_TYPES:
        values = [code * 2.0**-random_map.exponent for code in codes]
        packed = struct.pack(f"<{len(codes)}{'e' if number_type is NumberType.FLOAT16 else 'f'}", *values)
        if number_type is NumberType.BFLOAT16:
            assert not any(packed[0::4]), "not exact in bfloat16"
            packed = b"".join(packed[i + 2 : i + 4] for i in range(0, len(packed), 4))
    else:
        packed = struct.pack(f"<{len(codes)}{'b' if number_type is NumberType.INT8 else 'h'}", *codes)
    return np.frombuffer(packed, Encoding(number_type=number_type).dtype).reshape(random_map.shape)


def through(engine: Lookup) -> Engine:
    """An engine of the package from its lookup."""

    def run(seed: int, random_map: RandomMap, number_type: NumberType) -> NDArray[Any]:
        out = np.full(random_map.shape, 99, Encoding(number_type=number_type).dtype)
        fill_array(out, seed, random_map, number_type, engine)
        return out

    return run


def numba_lookup(stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
    """The numba engine; the test is skipped without numba."""
    pytest.importorskip("numba")
    from artifact.backbone import fast

    fast.lookup(stream, table, out, first_block)


def on(device_name: str) -> Callable[..., None]:
    """`lookup_int64` for numpy arrays, computed on a torch device."""

    def int64_lookup(stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
        dtype = torch.int16 if out.dtype == np.uint16 else getattr(torch, out.dtype.name)  # torch cannot index uint16
        tensor = torch.empty(out.shape, dtype=dtype, device=device_name)
        device.lookup_int64(stream, torch.from_numpy(table.copy()).view(dtype).to(device_name), tensor, first_block)
        out[...] = tensor.cpu().numpy().view(out.dtype)

    return int64_lookup


def kernel_lookup(stream: Stream, table: NDArray[Any], out: NDArray[Any], first_block: int = 0) -> None:
    """The Triton kernel on a GPU."""
    from artifact.backbone import kernel

    tensor = torch.empty(out.shape, dtype=getattr(torch, out.dtype.name), device="cuda")
    kernel.lookup(stream, torch.from_numpy(table.copy()).cuda(), tensor, first_block)
    out[...] = tensor.cpu().numpy()


def fill_on(device_name: str) -> Engine:
    """`device.fill` on a torch device; floats only."""

    def run(seed: int, random_map: RandomMap, number_type: NumberType) -> NDArray[Any]:
        tensor = torch.full(random_map.shape, 99, dtype=TORCH_DTYPES[number_type], device=device_name)
        device.fill(tensor, seed=seed, random_map=random_map)
        return tensor.cpu().view(torch.uint8).numpy().view(Encoding(number_type=number_type).dtype)

    return run


def fill_as_on_a_gpu(seed: int, random_map: RandomMap, number_type: NumberType) -> NDArray[Any]:
    """The way that `device.fill` takes for a device without Triton, on the CPU."""
    if random_map.distribution not in TABLE_DISTRIBUTIONS:
        return fill_on("cpu")(seed, random_map, number_type)
    tensor = torch.full(random_map.shape, 99, dtype=TORCH_DTYPES[number_type])
    device._fill_on_device(tensor, seed, random_map)
    return tensor.view(torch.uint8).numpy().view(Encoding(number_type=number_type).dtype)


LOOKUPS: dict[str, Lookup] = {"numpy": lookup.lookup, "numba": numba_lookup, "torch-int64": on("cpu")}
CUDA_LOOKUPS: dict[str, Lookup] = {"torch-int64-cuda": on("cuda"), "triton": kernel_lookup}
ENGINES: dict[str, Engine] = {
    "reference": in_plain_python,
    **{name: through(engine) for name, engine in LOOKUPS.items()},
    "torch-cpu": fill_on("cpu"),
    "torch-other": fill_as_on_a_gpu,
}
CUDA_ENGINES: dict[str, Engine] = {
    **{name: through(engine) for name, engine in CUDA_LOOKUPS.items()},
    "torch-cuda": fill_on("cuda"),
}


def params(engines: dict[str, Any], cuda_engines: dict[str, Any]) -> list[Any]:
    """Parametrization over engines; those that need a GPU carry the marker `cuda`."""
    return [pytest.param(engine, id=name) for name, engine in engines.items()] + [
        pytest.param(engine, id=name, marks=pytest.mark.cuda) for name, engine in cuda_engines.items()
    ]


EVERY_ENGINE = pytest.mark.parametrize("engine", params(ENGINES, CUDA_ENGINES))
EVERY_LOOKUP = pytest.mark.parametrize("lookup", params(LOOKUPS, CUDA_LOOKUPS))
