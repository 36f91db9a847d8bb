"""What tests under torch.compile have in common."""

from collections.abc import Callable
from typing import Any

import pytest

from artifact.model.norm import rms_norm

SHAPES_ARE_CHECKED = hasattr(rms_norm, "__wrapped__")
"""Whether jaxtyping's import hook has put a run-time checker around every function (`make test-shapes`)."""


def compiles(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a test that compiles: not under the run-time checker, and without a deprecation inside of torch.compile."""
    under_checker = pytest.mark.skipif(SHAPES_ARE_CHECKED, reason="torch.compile does not trace the run-time checker")
    own_warning = pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")
    return under_checker(own_warning(test))
