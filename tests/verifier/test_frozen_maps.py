import numpy as np
import pytest
import torch
from torch import nn

from artifact.backbone import Distribution, RandomMap, root_digest
from artifact.backbone.device import fill
from verifier.errors import CheckFailed, SelfCheckFailed
from verifier.frozen_maps import check_maps, measured_digest

SEED = 12345
MAPS = (
    RandomMap(name="b.g8", distribution=Distribution.G8, shape=(48, 32), exponent=7),
    RandomMap(name="a.ortho-tall", distribution=Distribution.ORTHO, shape=(64, 16), exponent=6),
    RandomMap(name="a.ortho-wide", distribution=Distribution.ORTHO, shape=(16, 48), exponent=3),
    RandomMap(name="c.hada", distribution=Distribution.HADA, shape=(24, 20), exponent=2),
    RandomMap(name="c.u8", distribution=Distribution.U8, shape=(8, 8), exponent=24),
)


def network(*maps: RandomMap) -> nn.Module:
    """A module whose buffers hold the maps under their names."""
    root = nn.Module()
    for random_map in maps:
        owner, leaf = random_map.name.split(".")
        if not hasattr(root, owner):
            root.add_module(owner, nn.Module())
        tensor = torch.empty(random_map.shape)
        fill(tensor, seed=SEED, random_map=random_map)
        root.get_submodule(owner).register_buffer(leaf, tensor)
    return root


def test_the_digest_read_back_is_the_one_that_the_seed_gives() -> None:
    assert measured_digest(network(*MAPS), MAPS) == root_digest(SEED, MAPS)


def test_the_digest_follows_one_code() -> None:
    built = network(*MAPS)
    built.get_buffer("b.g8")[47, 31] += 2.0**-7
    assert measured_digest(built, MAPS) != root_digest(SEED, MAPS)


def test_blocks_of_rows_give_the_digest_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifier.frozen_maps.BLOCK_CODES", 100)
    assert measured_digest(network(*MAPS), MAPS) == root_digest(SEED, MAPS)
    check_maps(network(*MAPS), MAPS)


def test_a_weight_between_two_codes_is_our_own_fault() -> None:
    built = network(*MAPS)
    built.get_buffer("c.hada")[0, 0] *= 1.5
    with pytest.raises(SelfCheckFailed, match=r"c\.hada"):
        measured_digest(built, MAPS)


def test_orthogonal_maps_are_exactly_orthogonal() -> None:
    check_maps(network(*MAPS), MAPS)


@pytest.mark.parametrize("name", ["a.ortho-tall", "a.ortho-wide", "c.hada"])
def test_one_flipped_sign_breaks_orthogonality(name: str) -> None:
    built = network(*MAPS)
    weight = built.get_buffer(name)
    row, column = np.argwhere(weight.numpy() != 0)[-1]
    weight[row, column] *= -1
    with pytest.raises(CheckFailed, match="backbone-mismatch") as caught:
        check_maps(built, MAPS)
    assert name in caught.value.expected


@pytest.mark.parametrize("name", ["b.g8", "c.u8"])
def test_an_all_zero_row_is_a_dead_channel(name: str) -> None:
    built = network(*MAPS)
    built.get_buffer(name)[3] = 0
    with pytest.raises(CheckFailed, match="1 all-zero rows") as caught:
        check_maps(built, MAPS)
    assert name in caught.value.expected


def test_a_sparse_map_over_few_inputs_has_dead_rows() -> None:
    sparse = RandomMap(name="a.tern", distribution=Distribution.TERN7, shape=(64, 8), exponent=0)
    with pytest.raises(CheckFailed, match="all-zero rows"):
        check_maps(network(sparse), (sparse,))
