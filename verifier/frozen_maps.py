"""The backbone check: what the built network's frozen maps are, read back from the very tensors that will score.

A map's weights are code * 2^-exponent, exact in float32, so the codes come back without loss whichever engine and
device made them: their digest is the artifact's own root digest (backbone.md B-17) or the network is not the declared
one. Products of orthogonal maps are summed in float64, where every integer here (below 2^33) is exact: the test is
that of int64 at the speed of a matrix product.
"""

import hashlib
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float32, Float64, Int16
from torch import Tensor, nn

from artifact.backbone import Distribution, RandomMap
from verifier.errors import CheckFailed, Code, SelfCheckFailed

BLOCK_CODES = 1 << 22  # rows are read back at most this many codes at a time: 32 MiB as float64
ORTHOGONAL = frozenset({Distribution.HADA, Distribution.ORTHO})


def measured_digest(network: nn.Module, maps: Sequence[RandomMap]) -> str:
    """SHA-256 over the int16 little-endian codes of every map in bytewise name order, as hex (B-17).

    Law: equals `artifact.backbone.root_digest(seed, maps)`.

    Raises:
        SelfCheckFailed: a weight is no code times 2^-exponent.
    """
    digest = hashlib.sha256()
    for random_map in sorted(maps, key=lambda each: each.name):  # ASCII: the order of the bytes
        for codes in _code_blocks(network, random_map):
            digest.update(codes.cpu().numpy().astype("<i2", copy=False).tobytes())
    return digest.hexdigest()


def check_maps(network: nn.Module, maps: Sequence[RandomMap]) -> None:
    """Every row of every map holds a number, and hada and ortho maps are exactly orthogonal.

    Raises:
        CheckFailed: naming the first map that is not so.
    """
    check_rows(network, maps)
    for random_map in maps:
        if random_map.distribution in ORTHOGONAL:
            _check_orthogonal(network.get_buffer(random_map.name), random_map)


def check_rows(network: nn.Module, maps: Sequence[RandomMap]) -> None:
    """Every row of every map holds a number; cheap enough to ask before a training.

    Raises:
        CheckFailed: naming the first map that is not so.
    """
    for random_map in maps:
        weight = network.get_buffer(random_map.name)
        zero_rows = int((weight == 0).all(dim=1).sum())
        if zero_rows:
            raise CheckFailed(
                Code.BACKBONE_MISMATCH,
                expected=f"{random_map.name}: a number other than 0 in every row",
                got=f"{zero_rows} all-zero rows of {len(weight)}, of {weight.shape[1]} numbers each",
                hint="choose longer rows (for VeRA a higher lora_rank), a denser distribution or another seed",
            )


def _check_orthogonal(weight: Float32[Tensor, "O I"], random_map: RandomMap) -> None:
    """Code times its transpose is c times the identity, on the shorter side."""
    codes: Float64[Tensor, "n m"] = torch.ldexp(weight.double(), torch.tensor(random_map.exponent))
    codes = codes if codes.shape[0] <= codes.shape[1] else codes.T  # (n, m), n <= m
    square = float(codes[0] @ codes[0])
    rows = max(1, BLOCK_CODES // len(codes))
    for start in range(0, len(codes), rows):
        gram = codes[start : start + rows] @ codes.T  # (rows, n), every entry an exact integer
        gram[range(len(gram)), range(start, start + len(gram))] -= square
        if square == 0 or bool(gram.any()):
            raise CheckFailed(
                Code.BACKBONE_MISMATCH,
                expected=f"{random_map.name}: code x code^T = c x I exactly",
                got=f"another product near row {start}",
                hint="the generator and this file disagree: report it with the artifact",
            )


def _code_blocks(network: nn.Module, random_map: RandomMap) -> Iterator[Int16[Tensor, "rows I"]]:
    """The codes of a map, some rows at a time."""
    weight = network.get_buffer(random_map.name)
    scale = 2.0**random_map.exponent
    for block in torch.split(weight, max(1, BLOCK_CODES // weight.shape[1])):
        scaled = block * scale  # exact: a power of two
        codes = scaled.to(torch.int16)
        if not torch.equal(codes.to(scaled.dtype), scaled):
            raise SelfCheckFailed(f"map {random_map.name}: a weight is no integer times 2^-{random_map.exponent}")
        yield codes
