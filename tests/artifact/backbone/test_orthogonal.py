"""hada and ortho: exactly orthogonal in integers, for every kind of order."""

import numpy as np
import pytest

from artifact.backbone import Distribution, codes, default_exponent, reference
from artifact.backbone.hadamard import hadamard, hadamard_orders
from artifact.backbone.orthonormal import ortho_order

HADA_ORDERS = [1, 2, 4, 12, 16, 20, 24, 28, 40, 48, 56, 96, 144, 240, 256, 336, 400, 512, 560, 768, 784, 1536]
ORTHO_ORDERS = [16, 32, 48, 64, 80, 112, 128, 192, 256, 320, 512, 576, 640, 768, 1536]


@pytest.mark.parametrize("order", HADA_ORDERS)
def test_hada_is_a_hadamard_matrix(order: int) -> None:
    a = codes(order, "a", Distribution.HADA, (order, order)).astype(np.int32)
    assert np.array_equal(np.abs(a), np.ones_like(a))
    assert np.array_equal(exact_gram(a), order * np.eye(order))


@pytest.mark.parametrize("order", ORTHO_ORDERS)
def test_ortho_is_exactly_orthonormal(order: int) -> None:
    a = codes(order, "a", Distribution.ORTHO, (order, order))
    b, num_rounds = ortho_order(order)
    assert np.array_equal(exact_gram(a), b**num_rounds * np.eye(order))
    assert 4 ** default_exponent(Distribution.ORTHO, (order, order)) == b**num_rounds


@pytest.mark.parametrize("distribution", [Distribution.HADA, Distribution.ORTHO])
@pytest.mark.parametrize("shape", [(64, 48), (48, 256), (256, 768), (768, 256), (5, 80)])
def test_the_long_side_of_a_rectangle_is_orthogonal(distribution: Distribution, shape: tuple[int, int]) -> None:
    a = codes(9, "a", distribution, shape)
    gram = exact_gram(a if shape[0] < shape[1] else a.T)
    assert np.array_equal(gram, gram[0, 0] * np.eye(min(shape)))


@pytest.mark.parametrize("distribution", [Distribution.HADA, Distribution.ORTHO])
@pytest.mark.parametrize("shape", [(100, 768), (768, 300), (257, 2304), (2304, 17), (1536, 1000)])
def test_a_map_is_the_corner_of_the_square_one_of_its_order(distribution: Distribution, shape: tuple[int, int]) -> None:
    order = max(shape)
    square = codes(2, "a", distribution, (order, order))
    assert np.array_equal(codes(2, "a", distribution, shape), square[: shape[0], : shape[1]])


@pytest.mark.parametrize("order", [12, 20, 28, 1, 2, 64, 256])
def test_factors_are_those_of_the_reference(order: int) -> None:
    expected = [[reference.hadamard(order, i, j) for j in range(order)] for i in range(order)]
    assert hadamard(order).tolist() == expected


@pytest.mark.parametrize(
    ("order", "orders"),
    [(1, [1]), (2, [2]), (12, [12]), (24, [12, 2]), (48, [12, 4]), (1024, [256, 4]), (240, [12, 20]), (336, [12, 28]),
     (2304, [12, 12, 16]), (560, [20, 28]), (784, [28, 28]), (3072, [12, 256]), (12 * 2**16, [12, 256, 256])],
)  # fmt: skip
def test_the_least_core_comes_first(order: int, orders: list[int]) -> None:
    assert hadamard_orders(order) == orders


@pytest.mark.parametrize(
    ("order", "expected"),
    [(16, (16, 2)), (32, (16, 2)), (48, (16, 3)), (64, (64, 2)), (512, (256, 2)), (576, (64, 3)), (8192, (256, 2)),
     (8448, (256, 3)), (32_832, (64, 4)), (2**21 + 256, (256, 4))],
)  # fmt: skip
def test_group_size_and_number_of_rounds(order: int, expected: tuple[int, int]) -> None:
    assert ortho_order(order) == expected == reference.order_of(order)


def test_three_rounds_of_256_are_those_of_the_reference() -> None:
    assert codes(1, "a", Distribution.ORTHO, (8448, 1)).tolist() == reference.codes(1, "a", "ortho", (8448, 1))


def exact_gram(a: np.ndarray) -> np.ndarray:
    """A A^T; float64 sums of these integers stay below 2^53 and are exact."""
    floats: np.ndarray = a.astype(np.float64)
    return floats @ floats.T
