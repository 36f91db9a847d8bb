from collections.abc import Iterator

import pytest
import torch

from tests.verifier.entries import Arena, open_arena


@pytest.fixture
def torch_settings() -> Iterator[None]:
    """Put back the process-wide settings that a test changes."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """The tiny set and its good entry, made once."""
    return open_arena(tmp_path_factory.mktemp("arena"))
