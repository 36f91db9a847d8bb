import pytest
import torch
from torch.nn.functional import linear

from verifier.numerics import MAX_SELF_TEST_ERROR, MatmulRoute, Numerics, self_test_error, set_canonical_numerics

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("torch_settings")


def test_the_route_taken_on_this_cpu_is_float32() -> None:
    got = set_canonical_numerics(CPU)
    assert got.device == "cpu"
    assert got.self_test_error < MAX_SELF_TEST_ERROR
    expected = "medium" if got.route is MatmulRoute.ONEDNN else "highest"
    assert torch.get_float32_matmul_precision() == expected
    assert (got.refused_error is None) == (got.route is MatmulRoute.ONEDNN)
    assert got.self_test_error == self_test_error(CPU)


def test_a_route_that_rounds_too_much_is_left_for_highest() -> None:
    got = set_canonical_numerics(CPU, max_error=0.0)
    assert got.route is MatmulRoute.HIGHEST
    assert torch.get_float32_matmul_precision() == "highest"
    assert got.refused_error is not None
    assert got.refused_error > 0
    assert got.self_test_error < MAX_SELF_TEST_ERROR


def test_the_self_test_notices_bfloat16() -> None:
    error = self_test_error(CPU, lambda x, weight: linear(x.bfloat16(), weight.bfloat16()).float())
    assert error > 500 * MAX_SELF_TEST_ERROR


@pytest.mark.cuda
def test_cuda_multiplies_in_float32_with_every_reduced_precision_off() -> None:
    got = set_canonical_numerics(torch.device("cuda"))
    assert got == Numerics(device="cuda", route=MatmulRoute.HIGHEST, self_test_error=got.self_test_error)
    assert got.self_test_error < MAX_SELF_TEST_ERROR
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
