"""Operations per token against arithmetic by hand and against the operations that torch counts."""

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from artifact.format.architecture import Network, Role
from artifact.model.flops import flops_per_token
from artifact.model.gpt import GPT
from artifact.model.scoring import for_scoring
from tests.artifact.model.networks import (
    LEARNED,
    LORA,
    NETWORKS,
    SEED,
    arbitrary_gpt,
    arbitrary_tokens,
    frozen,
    network,
)

T = 32


def counted(run: Callable[[], object]) -> float:
    """Operations of matrix products per token in a run over two windows of T tokens."""
    with FlopCounterMode(display=False) as counter:
        run()
    products = counter.get_flop_counts()["Global"]
    return sum(flops for name, flops in products.items() if "attention" not in str(name)) / (2 * T)


def attention(made: Network) -> float:
    return made.model.num_layers * 4 * made.model.model_dim * (T + 1) / 2


@pytest.mark.parametrize("name", ["dense", "lora", "swiglu of mixed kinds", "vera, untied, no cap"])
def test_the_forward_pass_is_what_torch_counts_when_scoring(name: str) -> None:
    made = NETWORKS[name]
    scorer, tokens = for_scoring(arbitrary_gpt(made)), torch.from_numpy(arbitrary_tokens(made, 2, T))
    expected = counted(lambda: scorer.logits(tokens)) + attention(made)
    assert flops_per_token(made, seq_len=T).forward == pytest.approx(expected)


@pytest.mark.parametrize(
    "made",
    [network(LEARNED), network(frozen("channel")), network(LEARNED, {"mlp.up": frozen(adapter=LORA)})],
    ids=["learned", "frozen", "one with lora"],
)
def test_training_is_what_torch_counts_without_frozen_gradients(made: Network) -> None:
    gpt = GPT(made, backbone_seed=SEED)
    tokens = torch.from_numpy(arbitrary_tokens(made, 2, T))
    rows, cols = made.model.shape(Role.MLP_UP)
    ranks = [linear.spec.lora_rank or 0 for _, _, linear in gpt.linears()]
    merging = sum(2 * rank * rows * cols for rank in ranks) / (2 * T)  # once for both windows
    expected = counted(lambda: gpt(tokens, tokens).backward()) + 3 * attention(made) - merging
    assert flops_per_token(made, seq_len=T).training == pytest.approx(expected)


def test_the_published_shape_takes_the_operations_of_the_roofline() -> None:
    made = network(
        frozen(adapter={"adapter": "lora", "lora_rank": 16, "lora_scaling": 1}),
        vocab_size=1024,
        num_layers=12,
        model_dim=768,
        num_heads=12,
        num_kv_heads=4,
        mlp_hidden_dim=2304,
        seq_len=1024,
    )
    assert 65_536 * flops_per_token(made, seq_len=1024).training == pytest.approx(20.7e12, rel=5e-3)
