"""One suite for every engine: the published vectors, random maps against the reference, exactness, two threads."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artifact.backbone import BackboneError, Distribution, RandomMap, check_construction, codes, generate, weights
from artifact.backbone.encoding import Encoding, NumberType
from artifact.backbone.stream import open_stream
from tests.artifact.backbone.engines import CUDA_ENGINES, ENGINES, EVERY_ENGINE, FLOAT_TYPES, Engine, in_plain_python
from tests.artifact.backbone.vectors import VECTORS, Vector

EVERY_VECTOR = pytest.mark.parametrize("vector", VECTORS, ids=str)
EVERY_DISTRIBUTION = pytest.mark.parametrize("distribution", Distribution)
SHAPES = {  # small shapes of which each has a construction
    Distribution.HADA: [(1, 1), (2, 1), (12, 12), (20, 7), (9, 28), (24, 24), (13, 40), (56, 3), (48, 144)],
    Distribution.ORTHO: [(16, 16), (7, 48), (32, 5), (64, 64), (1, 80), (96, 33), (112, 3), (576, 9), (5, 576)],
}


def constructible(distribution: Distribution, shape: tuple[int, int]) -> bool:
    try:
        check_construction(distribution, shape)
    except BackboneError:
        return False
    return True


def as_float64(elements: np.ndarray, number_type: NumberType) -> np.ndarray:
    if number_type is NumberType.BFLOAT16:
        return (elements.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return elements.astype(np.float64)


@EVERY_VECTOR
@EVERY_ENGINE
def test_weights_are_the_published_ones(engine: Engine, vector: Vector) -> None:
    elements = engine(vector.seed, vector.random_map, NumberType.FLOAT32)
    assert (elements.reshape(-1)[:8] * 2.0**vector.exponent).tolist() == list(vector.first_codes)
    assert sha256(elements.astype("<f4").tobytes()).hexdigest() == vector.float32_sha256


@EVERY_VECTOR
@pytest.mark.parametrize("engine", [pytest.param(ENGINES[name], id=name) for name in ("reference", "numpy", "numba")])
def test_codes_are_the_published_ones(engine: Engine, vector: Vector) -> None:
    ints = engine(vector.seed, vector.random_map, NumberType.INT16)
    assert sha256(ints.astype("<i2").tobytes()).hexdigest() == vector.codes_sha256


@EVERY_VECTOR
def test_public_calls_give_the_published_vectors(vector: Vector) -> None:
    ints = codes(vector.seed, vector.name, vector.distribution, vector.shape)
    floats = weights(vector.seed, vector.name, vector.distribution, vector.shape, vector.exponent)
    assert sha256(ints.astype("<i2").tobytes()).hexdigest() == vector.codes_sha256
    assert sha256(floats.astype("<f4").tobytes()).hexdigest() == vector.float32_sha256
    assert generate.root_digest(vector.seed, [vector.random_map]) == vector.codes_sha256


@EVERY_VECTOR
def test_streams_are_the_published_ones(vector: Vector) -> None:
    stream = open_stream(vector.seed, vector.name, "w")
    assert (stream.k0, stream.k1, stream.c2, stream.c3) == vector.stream


@pytest.mark.parametrize("number_type", FLOAT_TYPES)
@EVERY_DISTRIBUTION
@EVERY_ENGINE
def test_every_float_type_holds_every_weight_exactly(
    engine: Engine, distribution: Distribution, number_type: NumberType
) -> None:
    for exponent in (0, 9, 24):
        random_map = RandomMap(name="a.weight", distribution=distribution, shape=(48, 32), exponent=exponent)
        elements = as_float64(engine(5, random_map, number_type), number_type)
        expected = codes(5, "a.weight", distribution, (48, 32)).astype(np.float64) * 2.0**-exponent
        assert np.array_equal(elements, expected)
        assert not np.signbit(elements[elements == 0]).any(), "-0.0"


@EVERY_DISTRIBUTION
@pytest.mark.parametrize("engine", [pytest.param(e, id=name) for name, e in ENGINES.items() if name != "reference"])
def test_random_maps_are_those_of_the_reference(engine: Engine, distribution: Distribution) -> None:
    rng = np.random.default_rng(7)
    shapes = SHAPES.get(distribution) or [tuple(rng.integers(1, 60, 2).tolist()) for _ in range(5)]
    for i, shape in enumerate(shapes):
        seed = int(rng.integers(2**64, dtype=np.uint64))
        random_map = RandomMap(name=f"map.{i}", distribution=distribution, shape=shape, exponent=i)
        number_type = FLOAT_TYPES[i % 3]
        expected = in_plain_python(seed, random_map, number_type)
        assert np.array_equal(engine(seed, random_map, number_type), expected), (seed, random_map)


@pytest.mark.cuda
@EVERY_DISTRIBUTION
@pytest.mark.parametrize("engine", [pytest.param(engine, id=name) for name, engine in CUDA_ENGINES.items()])
def test_random_maps_on_a_gpu_are_those_of_the_reference(engine: Engine, distribution: Distribution) -> None:
    test_random_maps_are_those_of_the_reference(engine, distribution)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_map_is_that_of_the_reference(data: st.DataObject) -> None:
    distribution = data.draw(st.sampled_from(Distribution))
    sizes = st.integers(1, 4).map(lambda n: 16 * n) if distribution is Distribution.ORTHO else st.integers(1, 50)
    shape = data.draw(st.tuples(sizes, sizes).filter(lambda shape: constructible(distribution, shape)))
    random_map = RandomMap(
        name=data.draw(st.text(st.characters(max_codepoint=127), min_size=1, max_size=30)),
        distribution=distribution,
        shape=shape,
        exponent=data.draw(st.integers(0, 24)),
    )
    seed, number_type = data.draw(st.integers(0, 2**64 - 1)), data.draw(st.sampled_from(FLOAT_TYPES))
    expected = in_plain_python(seed, random_map, number_type)
    for name in ("numpy", "numba", "torch-int64", "torch-cpu"):
        assert np.array_equal(ENGINES[name](seed, random_map, number_type), expected), name


@pytest.mark.parametrize("engine", [pytest.param(e, id=name) for name, e in ENGINES.items() if name != "reference"])
def test_two_threads_give_what_one_gives(engine: Engine) -> None:
    maps = [
        RandomMap(name=f"map.{i}", distribution=distribution, shape=(320, 64), exponent=3)
        for i, distribution in enumerate([d for d in Distribution if d is not Distribution.HADA] * 2)
    ]
    alone = [engine(1, random_map, NumberType.FLOAT32) for random_map in maps]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda random_map: engine(1, random_map, NumberType.FLOAT32), maps))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def test_encodings_of_all_codes_are_exact() -> None:
    ints = np.arange(-256, 257, dtype=np.int16)
    for exponent in range(25):
        for number_type in FLOAT_TYPES:
            encoding = Encoding(number_type=number_type, exponent=exponent)
            written = np.empty((3, 171), encoding.dtype)
            encoding.write(ints.reshape(3, 171), written)
            for elements in (encoding.of(ints), written.reshape(-1)):
                assert np.array_equal(as_float64(elements, number_type), ints * 2.0**-exponent)
                assert not np.signbit(as_float64(elements, number_type)[256])
