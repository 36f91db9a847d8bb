"""Tables, default exponents, and every request that must fail."""

from collections.abc import Callable

import numpy as np
import pytest

from artifact.backbone import (
    BackboneError,
    CodeRangeError,
    Distribution,
    DuplicateNameError,
    InvalidDistributionError,
    InvalidDTypeError,
    InvalidExponentError,
    InvalidNameError,
    InvalidSeedError,
    InvalidShapeError,
    NoConstructionError,
    RandomMap,
    check_construction,
    codes,
    default_exponent,
    errors,
    root_digest,
    weights,
)
from artifact.backbone.distributions import CODE_TABLES, code_table

G8, ORTHO, HADA = Distribution.G8, Distribution.ORTHO, Distribution.HADA
INT16 = (Distribution.U8, Distribution.ORTHO)


def test_sums_of_the_g8_table_are_the_published_ones() -> None:
    table = code_table(G8).astype(np.int64)
    half = table[128:]
    assert (half.sum(), (half**2).sum(), (half**4).sum()) == (3260, 131_072, 403_058_672)
    assert np.array_equal(table[127::-1], -half)
    assert np.array_equal(half, np.sort(half))


def test_g8_has_unit_variance_at_exponent_5() -> None:
    assert (code_table(G8).astype(np.float64) ** 2).mean() == 2.0 ** (2 * 5)


@pytest.mark.parametrize("m", range(1, 8))
def test_density_of_ternary_codes_is_2_to_the_minus_m(m: int) -> None:
    table = code_table(Distribution(f"tern{m}"))
    assert (table == 1).sum() == (table == -1).sum() == 128 >> m
    assert (np.abs(table) <= 1).all()


def test_u8_codes_are_the_odd_numbers_from_minus_255_to_255() -> None:
    assert code_table(Distribution.U8).tolist() == list(range(-255, 256, 2))


def test_no_table_holds_a_code_beyond_256() -> None:
    assert max(abs(code) for table in CODE_TABLES.values() for code in table) <= 256


@pytest.mark.parametrize("distribution", Distribution)
def test_codes_are_int8_where_they_fit(distribution: Distribution) -> None:
    result = codes(1, "a", distribution, (64, 16))
    assert result.dtype == (np.int16 if distribution in INT16 else np.int8)
    assert result.shape == (64, 16)
    assert result.flags.c_contiguous


def test_toeplitz_codes_are_constant_along_diagonals() -> None:
    result = codes(1, "a", Distribution.TOEP, (9, 13))
    assert np.array_equal(result[1:, 1:], result[:-1, :-1])


@pytest.mark.parametrize(
    ("distribution", "fan_in", "exponent"),
    [
        (G8, 1, 5), (G8, 3, 5), (G8, 4, 6), (G8, 512, 9), (G8, 768, 9), (G8, 1024, 10), (G8, 2304, 10),
        (Distribution.TOEP, 768, 9), (Distribution.RAD, 768, 4), (HADA, 768, 4), (Distribution.U8, 768, 11),
        (Distribution.TERN1, 768, 3), (Distribution.TERN2, 768, 3), (Distribution.TERN3, 768, 2),
        (Distribution.TERN7, 768, 0), (Distribution.TERN7, 64, 0), (Distribution.TERN7, 1024, 1),
        (ORTHO, 64, 6), (ORTHO, 768, 8), (ORTHO, 640, 9), (ORTHO, 96, 6), (ORTHO, 16, 4), (ORTHO, 8448, 12),
    ],
)  # fmt: skip
def test_default_exponents(distribution: Distribution, fan_in: int, exponent: int) -> None:
    assert default_exponent(distribution, (1, fan_in)) == exponent


@pytest.mark.parametrize("distribution", sorted(set(Distribution) - {ORTHO}))
@pytest.mark.parametrize("fan_in", [48, 512, 768, 1024])
def test_a_default_map_keeps_the_size_of_its_input(distribution: Distribution, fan_in: int) -> None:
    shape = (fan_in, fan_in)
    w = weights(3, "a", distribution, shape, default_exponent(distribution, shape)).astype(np.float64)
    size = np.sqrt((w**2).mean() * fan_in)
    widest = 2.4 if distribution is Distribution.U8 else 2.9 if distribution.startswith("tern") else 2.1
    assert (0.55 if distribution.startswith("tern") else 0.95) < size < widest


def digest_of(*maps: RandomMap) -> Callable[[], object]:
    return lambda: root_digest(0, iter(maps))


def random_map(**changes: object) -> RandomMap:
    return RandomMap(**{"name": "a", "distribution": G8, "shape": (2, 3), "exponent": 5, **changes})  # type: ignore[arg-type]


MUST_FAIL: dict[str, tuple[Callable[[], object], type[BackboneError], str]] = {
    "seed -1": (lambda: codes(-1, "a", G8, (1, 1)), InvalidSeedError, "seed: expected"),
    "seed 2^64": (lambda: weights(2**64, "a", G8, (1, 1), 0), InvalidSeedError, "got 18446744073709551616"),
    "seed of a digest": (lambda: root_digest(-1, []), InvalidSeedError, "seed: expected"),
    "empty name": (lambda: codes(0, "", G8, (1, 1)), InvalidNameError, "got ''"),
    "name not ASCII": (lambda: random_map(name="\u00e9"), InvalidNameError, r"got '\\xe9'"),
    "distribution g16": (lambda: random_map(distribution="g16"), InvalidDistributionError, "got 'g16'"),
    "distribution as a string": (lambda: random_map(distribution="g8"), InvalidDistributionError, "got 'g8'"),
    "height 0": (lambda: random_map(shape=(0, 3)), InvalidShapeError, r"got \(0, 3\)"),
    "width -1": (lambda: random_map(shape=(3, -1)), InvalidShapeError, r"got \(3, -1\)"),
    "three dimensions": (lambda: random_map(shape=(3, 1, 1)), InvalidShapeError, "got"),
    "shape as a list": (lambda: random_map(shape=[3, 1]), InvalidShapeError, "got"),
    "shape of floats": (lambda: random_map(shape=(3.0, 1)), InvalidShapeError, "got"),
    "shape of bools": (lambda: random_map(shape=(True, 1)), InvalidShapeError, "got"),
    "exponent -1": (lambda: random_map(exponent=-1), InvalidExponentError, "map 'a': exponent: .* got -1"),
    "exponent 25": (lambda: weights(0, "a", G8, (1, 1), 25), InvalidExponentError, "got 25"),
    "exponent 5.0": (lambda: random_map(exponent=5.0), InvalidExponentError, "got 5.0"),
    "dtype float64": (lambda: weights(0, "a", G8, (1, 1), 5, np.float64), InvalidDTypeError, "got float64"),
    "hada of order 44": (lambda: codes(0, "a", HADA, (1, 44)), NoConstructionError, "got 44"),
    "ortho of order 24": (lambda: codes(0, "a", ORTHO, (24, 1)), NoConstructionError, "got 24"),
    "default of no ortho": (lambda: default_exponent(ORTHO, (1, 24)), NoConstructionError, "got 24"),
    "two maps of one name": (digest_of(random_map(), random_map(exponent=6)), DuplicateNameError, "'a'"),
    "a code of 290": (lambda: codes(140, "w", ORTHO, (8448, 5)), CodeRangeError, "map 'w': .* got 290"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MUST_FAIL.values(), ids=MUST_FAIL)
def test_what_must_fail_fails(call: Callable[[], object], error: type[BackboneError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert "expected" in str(caught.value)


def test_the_columns_before_a_code_of_290_are_fine() -> None:
    assert np.abs(codes(140, "w", ORTHO, (8448, 4))).max() <= 256


def test_every_error_is_a_value_error_with_a_code_of_its_own() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BackboneError)]
    assert all(issubclass(error, ValueError) for error in classes)
    assert len({error.code for error in classes}) == len(classes)


@pytest.mark.parametrize("order", [3, 5, 6, 18, 36, 44, 60, 92, 12 * 20 * 3, 2**31, 2**63, 12 * 2**30, 10**30])
def test_orders_without_a_hadamard_matrix_are_refused(order: int) -> None:
    for shape in ((order, 1), (1, order)):
        with pytest.raises(NoConstructionError, match=rf"^hada: .* got {order}$"):
            check_construction(HADA, shape)


@pytest.mark.parametrize("order", [1, 8, 24, 2**31, 2**64, 10**30])
def test_orders_without_an_orthonormal_map_are_refused(order: int) -> None:
    for shape in ((order, 1), (1, order)):
        with pytest.raises(NoConstructionError, match=rf"^ortho: .* got {order}$"):
            check_construction(ORTHO, shape)


@pytest.mark.parametrize("shape", [(2**31 - 2**8, 1), (2**30, 2**30), (16_384, 65_536)])
def test_checking_a_hostile_shape_makes_nothing(shape: tuple[int, int]) -> None:
    check_construction(ORTHO, shape)
    check_construction(G8, shape)


def test_every_distribution_but_two_takes_any_shape() -> None:
    for distribution in set(Distribution) - {HADA, ORTHO}:
        check_construction(distribution, (2**40, 37))
