"""Public calls as a whole: dtypes, digests, threads, and what an import costs."""

import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from artifact.backbone import Distribution, RandomMap, codes, lookup, root_digest, scratch, weights
from artifact.backbone.generate import fastest_lookup

MAPS = [
    RandomMap(name=name, distribution=distribution, shape=shape, exponent=3)
    for name, distribution, shape in (
        ("layers.10.attn.q.weight", Distribution.ORTHO, (64, 128)),
        ("layers.2.attn.q.weight", Distribution.RAD, (31, 17)),
        ("layers.2.attn.q", Distribution.U8, (5, 80)),
        ("Z", Distribution.TOEP, (9, 9)),
        ("a.vera_a", Distribution.G8, (16, 700)),
    )
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, "float32", np.dtype("float16")])
def test_weights_come_in_the_asked_dtype(dtype: type[np.floating]) -> None:
    result = weights(1, "a", Distribution.G8, (6, 5), 5, dtype)
    assert result.dtype == np.dtype(dtype)
    assert np.array_equal(result, codes(1, "a", Distribution.G8, (6, 5)) / np.float32(32))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_root_digest_covers_all_codes_in_bytewise_name_order(threads: int) -> None:
    names = ["Z", "a.vera_a", "layers.10.attn.q.weight", "layers.2.attn.q", "layers.2.attn.q.weight"]
    by_name = {random_map.name: random_map for random_map in MAPS}
    data = b"".join(codes(9, n, by_name[n].distribution, by_name[n].shape).astype("<i2").tobytes() for n in names)
    assert root_digest(9, iter(MAPS), threads=threads) == sha256(data).hexdigest()


def test_the_root_digest_of_no_map_is_that_of_nothing() -> None:
    assert root_digest(0, []) == sha256(b"").hexdigest()


def test_exponents_do_not_enter_the_root_digest() -> None:
    doubled = [replace(random_map, exponent=random_map.exponent + 1) for random_map in MAPS]
    assert root_digest(9, doubled) == root_digest(9, MAPS)


@pytest.mark.parametrize("change", [{"name": "b"}, {"shape": (31, 16)}, {"distribution": Distribution.TERN1}])
def test_name_shape_distribution_and_seed_enter_the_root_digest(change: dict[str, Any]) -> None:
    random_map = RandomMap(name="a", distribution=Distribution.RAD, shape=(31, 17), exponent=0)
    digest = root_digest(9, [random_map])
    assert root_digest(9, [replace(random_map, **change)]) != digest
    assert root_digest(8, [random_map]) != digest


def test_the_fastest_engine_is_numba_where_it_is_installed() -> None:
    pytest.importorskip("numba")
    from artifact.backbone import fast

    assert fastest_lookup() is fast.lookup


def test_without_numba_the_numpy_engine_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "artifact.backbone.fast", None)  # what a failed import leaves behind
    monkeypatch.delattr("artifact.backbone.fast", raising=False)
    assert fastest_lookup.__wrapped__() is lookup.lookup


def test_numba_compiles_in_memory_where_no_cache_folder_can_be_written() -> None:
    pytest.importorskip("numba")
    from artifact.backbone import fast

    namespace: dict[str, Any] = {}
    exec("def double(x):\n    return 2 * x\n", namespace)  # no file, so numba finds no place for a cache
    assert fast.compiled(namespace["double"])(21) == 42


def test_scratch_memory_is_never_shared_by_two_users() -> None:
    with scratch.scratch(100) as one, scratch.scratch(scratch.BLOCK_BYTES) as other:
        assert not np.shares_memory(one, other)
        assert (len(one), len(other)) == (100, scratch.BLOCK_BYTES)
    with scratch.scratch(100) as again, scratch.scratch(scratch.BLOCK_BYTES + 1) as large:
        assert np.shares_memory(again, one) or np.shares_memory(again, other)
        assert len(large) == scratch.BLOCK_BYTES + 1


def test_a_stream_that_is_left_half_way_does_not_disturb_another() -> None:
    from artifact.backbone.stream import chunks, open_stream

    stream = open_stream(1, "a", "w")
    (alone,) = (chunk.copy() for chunk in chunks(stream, 0, 5))
    left = chunks(open_stream(2, "b", "w"), 0, 5)
    first = next(left).copy()
    pairs = zip(chunks(stream, 0, 5), chunks(open_stream(2, "b", "w"), 0, 5), strict=True)
    assert all(np.array_equal(one, alone) and np.array_equal(other, first) for one, other in pairs)


def test_importing_the_backbone_and_making_a_map_needs_neither_torch_nor_triton() -> None:
    script = (
        "import sys, artifact.backbone as b\n"
        "loaded = lambda: [m for m in ('torch', 'triton', 'numba') if m in sys.modules]\n"
        "assert loaded() == [], loaded()\n"
        "b.codes(0, 'a', b.Distribution.G8, (2, 2))\n"
        "assert set(loaded()) <= {'numba'}, loaded()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
