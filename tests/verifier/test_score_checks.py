import numpy as np
import pytest
import torch
from torch import Tensor

from tests.verifier.entries import Arena
from verifier import network_checks, score_checks
from verifier.errors import CheckFailed, Code, SelfCheckFailed


def test_nats_that_are_no_numbers_are_the_artifacts_fault_wherever_they_stand(arena: Arena) -> None:
    case, bench = arena.on_the_bench()
    honest, windows = bench.merged.logits, bench.valset.tokens[: 80 * 64].reshape(80, 64).astype(np.int64)
    unprobed = torch.from_numpy(windows[1])

    def overflows_in_one_window(tokens: Tensor) -> Tensor:
        rows = honest(tokens)
        rows[(tokens == unprobed).all(dim=1)] = torch.nan
        return rows

    bench.merged.logits = overflows_in_one_window  # type: ignore[method-assign]
    network_checks.check_probe(case, bench)
    with pytest.raises(CheckFailed, match="target 64 of 5,120") as caught:
        score_checks.check_score(case, bench)
    assert caught.value.code is Code.NON_FINITE_NATS


@pytest.mark.parametrize("change", [{"val_loss": 1.0}, {"val_bpb": 1.0}, {"tokens": 5_119}])
def test_scores_that_do_not_imply_the_bytes_of_the_set_are_our_fault(change: dict[str, float], arena: Arena) -> None:
    case, bench = arena.on_the_bench()
    score_checks.check_score(case, bench)
    assert score_checks.check_bytes_identity(case, bench).expected == f"{arena.registration.target_bytes:,} bytes"
    assert case.score is not None
    case.score = case.score.model_copy(update=change)
    with pytest.raises(SelfCheckFailed, match="bytes-identity"):
        score_checks.check_bytes_identity(case, bench)
