from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from artifact.model.decoder import Decoder
from tests.verifier import forge
from tests.verifier.entries import VOCAB, Arena
from verifier import network_checks, score_checks
from verifier.errors import CheckFailed, Code
from verifier.probe import Probed, probe
from verifier.target_nats import Logits
from verifier.windows import plan_windows

STREAM = forge.random_stream(3_000, vocab_size=300)
TINY = forge.TinyModel(300)


def probed(logits: Logits, *, batch_windows: int = 4, seq_len: int = 32) -> Probed:
    windows = plan_windows(len(STREAM), seq_len=seq_len, stride=seq_len)
    return probe(logits, STREAM, windows, vocab_size=300, batch_windows=batch_windows, device=torch.device("cpu"))


def test_a_causal_model_passes() -> None:
    seen = probed(TINY)
    assert seen.positions == 4 * 32
    assert seen.cuts == (0, 10, 20, 30)
    assert seen.largest_sum_error < 1e-6


@pytest.mark.parametrize(("batch_windows", "seq_len"), [(1, 64), (3, 2), (64, 1)])
def test_every_shape_of_batch_can_be_probed(batch_windows: int, seq_len: int) -> None:
    assert probed(TINY, batch_windows=batch_windows, seq_len=seq_len).positions == batch_windows * seq_len


def sees_its_target(tokens: Tensor) -> Tensor:
    peek = torch.nn.functional.one_hot(tokens.roll(-1, dims=1), 300)
    return TINY(tokens) + 20.0 * peek


def sees_the_mean_of_the_window(tokens: Tensor) -> Tensor:
    return TINY(tokens) + tokens.float().mean(dim=1)[:, None, None] * torch.arange(300) / 3e4


def sees_the_last_token_only_when_it_is_rare(tokens: Tensor) -> Tensor:
    rare = (tokens[:, -1] % 7 == 0).float()[:, None, None]
    return TINY(tokens) + rare * torch.arange(300) / 300


def sees_the_other_rows(tokens: Tensor) -> Tensor:
    return TINY(tokens) + tokens.float().mean() * torch.arange(300) / 3e4


@pytest.mark.parametrize(
    "model",
    [sees_its_target, sees_the_mean_of_the_window, sees_the_last_token_only_when_it_is_rare, sees_the_other_rows],
)
def test_a_model_that_looks_ahead_is_caught(model: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(CheckFailed) as caught:
        probed(model)
    assert caught.value.code is Code.NOT_CAUSAL


def test_a_single_window_a_batch_is_probed_beyond_its_first_position() -> None:
    def sees_its_target_from_the_second_position_on(tokens: Tensor) -> Tensor:
        peek = torch.nn.functional.one_hot(tokens.roll(-1, dims=1), 300)
        peek[:, 0] = 0
        return TINY(tokens) + 20.0 * peek

    assert probed(TINY, batch_windows=1).cuts == (15,)
    with pytest.raises(CheckFailed, match="position 15 to depend on tokens 0 to 15 only"):
        probed(sees_its_target_from_the_second_position_on, batch_windows=1)


def test_a_model_that_remembers_what_it_saw_is_caught() -> None:
    counts = torch.ones(300)

    def caches(tokens: Tensor) -> Tensor:
        counts.index_add_(0, tokens.flatten(), torch.ones(tokens.numel()))
        return TINY(tokens) + counts.log()

    with pytest.raises(CheckFailed, match="not-causal"):
        probed(caches)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_no_distribution_are_caught(bad: float) -> None:
    def overflows(tokens: Tensor) -> Tensor:
        rows: Tensor = TINY(tokens)
        rows[0, 5, 7] = bad
        return rows

    with pytest.raises(CheckFailed) as caught:
        probed(overflows)
    assert caught.value.code is Code.NOT_NORMALISED


@pytest.mark.parametrize("width", [299, 301])
def test_a_distribution_over_another_vocabulary_is_caught(width: int) -> None:
    with pytest.raises(CheckFailed, match=f"300 tokens, got one over {width}"):
        probed(lambda tokens: torch.zeros(*tokens.shape, width))


def peeking(network: Decoder) -> Decoder:
    """The network with a look at the token that it has to predict."""
    honest = network.logits
    network.logits = lambda tokens: honest(tokens) + 60.0 * torch.nn.functional.one_hot(tokens.roll(-1, dims=1), VOCAB)
    return network


def test_on_the_real_network_the_probe_catches_what_the_score_would_have_rewarded(arena: Arena) -> None:
    case, table = arena.on_the_bench()
    assert network_checks.check_probe(case, table).got
    score_checks.check_score(case, table)
    honest = case.score

    table.network = peeking(table.merged)
    score_checks.check_score(case, table)
    assert honest is not None
    assert case.score is not None
    assert case.score.val_bpb < 2 < honest.val_bpb, "looking ahead pays"
    with pytest.raises(CheckFailed, match="not-causal"):
        network_checks.check_probe(case, table)


def test_the_replaced_tokens_are_other_tokens() -> None:
    seen: list[Tensor] = []

    def listens(tokens: Tensor) -> Tensor:
        seen.append(tokens)
        return TINY(tokens)

    cuts = probed(listens).cuts
    first, second, third = (tokens.numpy() for tokens in seen)
    assert np.array_equal(first, third)
    assert second.max() < 300
    for row, cut in enumerate(cuts):
        assert np.array_equal(first[row, : cut + 1], second[row, : cut + 1])
        assert (first[row, cut + 1 :] != second[row, cut + 1 :]).all()
