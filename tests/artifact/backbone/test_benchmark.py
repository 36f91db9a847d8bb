"""The benchmark runs, and its contestants write what they are named after."""

import numpy as np
import pytest
import torch

from artifact.backbone import Distribution
from benchmarks import bench_backbone as bench

TINY = bench.ModelSize(num_layers=1, model_dim=64, kv_dim=32, mlp_hidden_dim=192)


def test_sizes_are_those_of_the_design() -> None:
    totals = {name: sum(np.prod(m.shape) for m in size.maps(Distribution.G8)) for name, size in bench.SIZES.items()}
    assert totals == {"12x768": 61_341_696, "11x512": 25_952_256}


def test_every_contestant_runs_and_every_goal_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setitem(bench.SIZES, "tiny", TINY)
    medians = bench.time_all(bench.contestants(TINY), rounds=1)
    assert all(seconds >= 0 for seconds in medians.values())
    report = bench.table("tiny", {name: seconds + 1e-3 for name, seconds in medians.items()})
    assert report.count(": yes") + report.count(": no") == len(bench.GOALS)
    for name in (bench.NORMAL, bench.QR, *(f"{engine} {d}" for engine in ("numpy", "numba") for d in ("g8", "rad"))):
        assert f"| {name} | " in report


def test_engines_fill_the_same_weights() -> None:
    maps = TINY.maps(Distribution.G8)
    filled = []
    for lookup in bench.engines().values():
        tensors = [torch.zeros(random_map.shape) for random_map in maps]
        bench.fill_arrays(tensors, maps, lookup)
        filled.append(tensors)
    for same in zip(*filled, strict=True):
        assert all(torch.equal(same[0], tensor) for tensor in same)
        assert same[0].std() > 0
