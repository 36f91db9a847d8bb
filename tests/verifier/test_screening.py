import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.verifier import forge
from verifier.data_errors import NonFiniteNats
from verifier.report import ScoreDtype, ScreeningRecord
from verifier.scoring import score
from verifier.screening import MIN_WINDOWS, Sample, bootstrap, choose_windows, screen
from verifier.target_nats import Logits
from verifier.windows import plan_windows

CPU = torch.device("cpu")
STREAM = forge.random_stream(6_000, vocab_size=1024, key=3)
MODEL = forge.TinyModel(1024)


def sample(fraction: float, seed: int = 0) -> Sample:
    return Sample(fraction=fraction, seed=seed, dtype=ScoreDtype.FLOAT32)


def screened(model: Logits, *, fraction: float, seed: int = 0, stride: int = 64) -> ScreeningRecord:
    windows = plan_windows(len(STREAM), seq_len=64, stride=stride)
    _, table = forge.demo()
    return screen(model, STREAM, table, windows, sample(fraction, seed), batch_windows=4, device=CPU)


@given(st.integers(1, 5_000), st.floats(1e-4, 0.999), st.integers(0, 2**63 - 1))
def test_a_sample_is_distinct_ascending_windows_fixed_by_its_seed(count: int, fraction: float, seed: int) -> None:
    chosen = choose_windows(count, sample(fraction, seed))
    assert len(chosen) == min(count, max(MIN_WINDOWS, math.ceil(fraction * count)))
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0
    assert chosen[-1] < count
    assert np.array_equal(chosen, choose_windows(count, sample(fraction, seed)))


def test_seeds_choose_different_windows() -> None:
    assert not np.array_equal(choose_windows(1000, sample(0.02, 1)), choose_windows(1000, sample(0.02, 2)))


@pytest.mark.parametrize("stride", [64, 16])
def test_the_estimate_is_the_score_of_the_sampled_windows_and_the_interval_holds_the_whole(stride: int) -> None:
    _, table = forge.demo()
    whole = score(MODEL, STREAM, table, seq_len=64, stride=stride, device=CPU)
    found = screened(MODEL, fraction=0.3, stride=stride)
    assert found.windows == math.ceil(0.3 * found.all_windows)
    assert found.val_bpb.low < found.val_bpb.estimate < found.val_bpb.high
    assert found.val_bpb.low < whole.val_bpb < found.val_bpb.high
    assert found.val_loss.low < whole.val_loss < found.val_loss.high
    assert found.val_loss.estimate * found.tokens == pytest.approx(
        found.val_bpb.estimate * math.log(2) * found.bytes, rel=1e-12
    )


def test_a_sample_of_every_window_is_the_score_to_the_last_digit() -> None:
    _, table = forge.demo()
    whole = score(MODEL, STREAM, table, seq_len=64, stride=64, device=CPU)
    found = screened(MODEL, fraction=0.9999)
    assert (found.windows, found.tokens, found.bytes) == (whole.windows, whole.tokens, whole.bytes)
    assert found.nats_sha256 == whole.nats_sha256
    assert found.val_bpb.estimate == pytest.approx(whole.val_bpb, rel=1e-12)


def test_a_screening_is_the_same_every_time() -> None:
    first, second = screened(MODEL, fraction=0.1, seed=5), screened(MODEL, fraction=0.1, seed=5)
    assert first.model_copy(update={"seconds": 0.0}) == second.model_copy(update={"seconds": 0.0})


def test_a_constant_ratio_has_no_width_and_a_varied_one_the_width_of_its_standard_error() -> None:
    ones = np.ones(400)
    constant = bootstrap(3 * ones, 2 * ones, seed=0)
    assert (constant.low, constant.estimate, constant.high) == (1.5, 1.5, 1.5)
    values = np.random.Generator(np.random.Philox(key=1)).normal(size=400)
    found = bootstrap(values, ones, seed=0)
    standard_error = values.std() / 20
    assert (found.high - found.low) / (2 * 1.96 * standard_error) == pytest.approx(1, abs=0.1)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(NonFiniteNats, match="of the sample"):
        screened(lambda tokens: MODEL(tokens) * torch.nan, fraction=0.1)
