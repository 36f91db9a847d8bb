"""Random maps in torch tensors, on any device: bit for bit what numpy makes.

On a CPU the numpy or numba engine writes straight into the tensor's memory, bfloat16 as bit patterns. On a CUDA
device a Triton kernel makes the maps that are tables over a stream (g8, rad, u8, ternM); any other device makes them
with the int64 arithmetic below. toep, hada and ortho are made on the CPU and copied: their work is small beside the
copy.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from artifact.backbone.distributions import TABLE_DISTRIBUTIONS, RandomMap, check_unique_names, code_table
from artifact.backbone.encoding import Encoding, NumberType
from artifact.backbone.errors import InvalidDTypeError, TensorMismatchError
from artifact.backbone.generate import fill_array
from artifact.backbone.lookup import field_bits, num_blocks
from artifact.backbone.stream import KEY_STEPS, MASK32, MULTIPLIERS, NUM_ROUNDS, Stream, open_stream

DeviceLookup = Callable[[Stream, Tensor, Tensor, int], None]

NUMBER_TYPES = {
    torch.float32: NumberType.FLOAT32,
    torch.float16: NumberType.FLOAT16,
    torch.bfloat16: NumberType.BFLOAT16,
}
CHUNK_FIELDS = 2**20  # 8 MiB for each int64 temporary


def fill(tensor: Float[Tensor, "out in_"], *, seed: int, random_map: RandomMap) -> None:
    """Fill `tensor` in place with a random map, exactly, in its dtype and on its device.

    Args:
        tensor: float32, float16 or bfloat16 of the map's shape; a parameter is filled without a trace in autograd.
        seed: the backbone's seed, in [0, 2^64).
        random_map: what to fill it with.

    Raises:
        InvalidDTypeError: the tensor is of another dtype.
        TensorMismatchError: the tensor is of another shape.
        InvalidSeedError, CodeRangeError: as `codes`.
    """
    name, target = random_map.name, tensor.detach()
    if target.dtype not in NUMBER_TYPES:
        raise InvalidDTypeError(
            f"map {name!r}: tensor dtype: expected float32, float16 or bfloat16, got {target.dtype}"
        )
    if tuple(target.shape) != random_map.shape:
        raise TensorMismatchError(f"map {name!r}: tensor shape: expected {random_map.shape}, got {tuple(target.shape)}")
    on_cpu = target.device.type == "cpu"
    if on_cpu and target.is_contiguous():
        fill_array(_as_array(target), seed, random_map, NUMBER_TYPES[target.dtype])
    elif not on_cpu and target.is_contiguous() and random_map.distribution in TABLE_DISTRIBUTIONS:
        _fill_on_device(target, seed, random_map)
    else:
        host = torch.empty(random_map.shape, dtype=target.dtype)
        fill(host, seed=seed, random_map=random_map)
        target.copy_(host)


def fill_all(tensors: Mapping[str, Tensor], *, seed: int, maps: Sequence[RandomMap], threads: int = 1) -> None:
    """Fill every tensor with the map of its name, `threads` maps at a time.

    Raises:
        TensorMismatchError: a map has no tensor, a tensor has no map, or a shape differs.
        DuplicateNameError: two maps of one name.
        InvalidDTypeError, InvalidSeedError, CodeRangeError: as `fill`.
    """
    check_unique_names(maps)
    names = {random_map.name for random_map in maps}
    if unpaired := sorted(names ^ tensors.keys()):
        raise TensorMismatchError(
            f"tensors: expected one for each of {len(names)} maps, got {len(tensors)}; {unpaired[0]!r} has no partner"
        )

    def fill_one(random_map: RandomMap) -> None:
        fill(tensors[random_map.name], seed=seed, random_map=random_map)

    if threads == 1:
        for random_map in maps:
            fill_one(random_map)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill_one, maps))


def _as_array(tensor: Tensor) -> NDArray[Any]:
    """A CPU tensor's memory as numpy, bfloat16 as uint16."""
    stored: NDArray[Any] = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return stored


def _fill_on_device(tensor: Tensor, seed: int, random_map: RandomMap) -> None:
    encoding = Encoding(number_type=NUMBER_TYPES[tensor.dtype], exponent=random_map.exponent)
    table = torch.from_numpy(encoding.of(code_table(random_map.distribution))).view(tensor.dtype)
    stream = open_stream(seed, random_map.name, "w")
    _device_lookup(tensor.device)(stream, table.to(tensor.device), tensor.view(-1), 0)


def _device_lookup(device: torch.device) -> DeviceLookup:
    """The Triton kernel on CUDA devices where Triton is installed, else int64 arithmetic in torch."""
    if device.type != "cuda":
        return lookup_int64
    try:
        from artifact.backbone import kernel  # noqa: PLC0415  # Triton is wanted for CUDA tensors only
    except ImportError:
        return lookup_int64
    return kernel.lookup


def lookup_int64(stream: Stream, table: Tensor, out: Tensor, first_block: int = 0) -> None:
    """The torch engine's `Lookup`: out[e] = table[field e of the stream], on the device of `table` and `out`."""
    width = field_bits(table.numel())
    shifts = torch.arange(0, 32, width, device=out.device)
    step = CHUNK_FIELDS // (128 // width)
    blocks = num_blocks(out.numel(), table.numel())
    for start in range(0, blocks, step):
        low = (first_block & MASK32) + torch.arange(start, min(start + step, blocks), device=out.device)
        words = _philox(stream, low & MASK32, (low >> 32) + (first_block >> 32))  # [blocks, 4]
        fields = (words[:, :, None] >> shifts) & (table.numel() - 1)  # [blocks, 4, 32 / width]
        part = out[start * 128 // width :][: fields.numel()]
        part.copy_(table[fields.view(-1)[: part.numel()]])


def _philox(stream: Stream, c0: Int[Tensor, "blocks"], c1: Int[Tensor, "blocks"]) -> Int[Tensor, "blocks 4"]:
    """Philox4x32-10 on int64 (B-3), every word in [0, 2^32)."""
    c2, c3 = torch.full_like(c0, stream.c2), torch.full_like(c0, stream.c3)
    k0, k1 = stream.k0, stream.k1
    for _ in range(NUM_ROUNDS):
        (high0, low0), (high1, low1) = _product(c0, MULTIPLIERS[0]), _product(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK32, (k1 + KEY_STEPS[1]) & MASK32
    return torch.stack([c0, c1, c2, c3], dim=1)


def _product(x: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """High and low word of x * multiplier, both below 2^32, by a product with multiplier - 2^32 that fits in int64."""
    p = x * (multiplier - 2**32)
    return (p >> 32) + x, p & MASK32
