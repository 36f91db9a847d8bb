"""GPT and the merged scorer compute what the page says, for every value of every enum."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from artifact.format.architecture import Adapter, Base, Gain, Mlp, Network, Residual, resolve
from artifact.model.scoring import for_scoring
from tests.artifact.model.networks import (
    NETWORKS,
    SEED,
    arbitrary_gpt,
    arbitrary_parameters,
    arbitrary_tokens,
    frozen,
    network,
)
from tests.artifact.model.reference import Reference

TOLERANCE = 2e-5


def expected_logits(made: Network, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    return Reference(made, arbitrary_parameters(made), SEED).logits(tokens)


BY_NAME = pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)


@BY_NAME
@pytest.mark.parametrize("seq_len", [4, 24])  # 4: low-rank layers take the two-path form; 24: the merged one
def test_logits_are_those_of_the_page(made: Network, seq_len: int) -> None:
    gpt, tokens = arbitrary_gpt(made), arbitrary_tokens(made, 2, seq_len)
    expected = [expected_logits(made, window) for window in tokens]
    with torch.no_grad():
        got = gpt.logits(torch.from_numpy(tokens))
        merged = for_scoring(gpt).logits(torch.from_numpy(tokens))
    assert np.std(expected) > 0.3  # the test sees something
    assert got.dtype == merged.dtype == torch.float32
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)
    np.testing.assert_allclose(merged, expected, atol=TOLERANCE)


def test_the_networks_have_every_value_of_every_enum() -> None:
    models = [made.model for made in NETWORKS.values()]
    specs = [spec for made in NETWORKS.values() for spec in resolve(made).values()]
    assert {model.mlp for model in models} == set(Mlp)
    assert {model.residual for model in models} == set(Residual)
    for flag in ("tie_embeddings", "qk_norm", "residual_mix"):
        assert {getattr(model, flag) for model in models} == {True, False}
    assert {(spec.base, spec.gain, spec.adapter) for spec in specs} >= {
        (Base.RANDOM, gain, adapter) for gain in (Gain.NONE, Gain.CHANNEL) for adapter in Adapter
    } | {(Base.RANDOM, Gain.MATRIX, adapter) for adapter in (Adapter.SHIFT, Adapter.LORA, Adapter.VERA)}
    assert Base.LEARNED in {spec.base for spec in specs}


@pytest.mark.parametrize("distribution", ["rad", "u8", "tern2", "toep", "hada", "ortho"])
def test_every_distribution_reaches_the_network(distribution: str) -> None:
    exponent = {"rad": 3, "u8": 10, "tern2": 2, "toep": 8, "hada": 3, "ortho": 4}[distribution]
    made = network(frozen("channel", distribution=distribution, exponent=exponent), num_layers=1, mlp_hidden_dim=64)
    tokens = arbitrary_tokens(made, 6)
    expected = expected_logits(made, tokens)
    with torch.no_grad():
        got = arbitrary_gpt(made).logits(torch.from_numpy(tokens)[None])[0]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE)


def test_a_window_longer_than_the_models_is_computed_too() -> None:
    made = NETWORKS["lora"]
    tokens = arbitrary_tokens(made, 1, 2 * made.model.seq_len + 1)
    expected = expected_logits(made, tokens[0])
    gpt = arbitrary_gpt(made)
    with torch.no_grad():
        np.testing.assert_allclose(gpt.logits(torch.from_numpy(tokens))[0], expected, atol=TOLERANCE)


def test_the_loss_is_the_mean_of_the_nats() -> None:
    made = NETWORKS["overrides"]
    tokens, targets = arbitrary_tokens(made, 2, 9), arbitrary_tokens(made, 2, 9, seed=1)
    expected = []
    for window, wanted in zip(tokens, targets, strict=True):
        rows = expected_logits(made, window)
        expected += [np.log(np.exp(row).sum()) - row[target] for row, target in zip(rows, wanted, strict=True)]
    got = arbitrary_gpt(made)(torch.from_numpy(tokens), torch.from_numpy(targets))
    assert got.item() == pytest.approx(np.mean(expected), abs=TOLERANCE)


def test_a_later_token_changes_no_earlier_logit() -> None:
    made = NETWORKS["u-net, even, mixed in"]
    scorer = for_scoring(arbitrary_gpt(made))
    tokens = torch.from_numpy(arbitrary_tokens(made, 1, 12))
    changed = tokens.clone()
    changed[0, 8] = (changed[0, 8] + 1) % made.model.vocab_size
    before, after = scorer.logits(tokens), scorer.logits(changed)
    assert torch.equal(before[:, :8], after[:, :8])
    assert not torch.equal(before[:, 8:], after[:, 8:])
