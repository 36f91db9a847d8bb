"""The merged scorer: the same bits in every batch and for every number of threads, and no hold on training."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from artifact.format.architecture import Mlp, Network
from artifact.model.mlp import activate_in_place
from artifact.model.scoring import Scorer, for_scoring
from tests.artifact.model.networks import LORA, NETWORKS, arbitrary_gpt, arbitrary_tokens, frozen, network

WINDOWS = 4
STEADY = {
    "relu2": (network(frozen(adapter=LORA), model_dim=64, mlp_hidden_dim=192, vocab_size=256), 64),
    "odd sizes": (network(frozen("channel", LORA), mlp_hidden_dim=100, vocab_size=257, num_kv_heads=1), 49),
    "fewer than 32 tokens": (network(frozen(adapter=LORA), vocab_size=61), 17),
    "swiglu": (network(frozen(adapter=LORA), mlp_hidden_dim=100, mlp="swiglu", num_layers=1), 96),
}


@pytest.fixture(params=["highest", "medium"])
def route(request: pytest.FixtureRequest) -> Iterator[str]:
    """Who multiplies float32 matrices on this CPU; "medium" is oneDNN."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def logits_of(made: Network, tokens: Tensor, *, dtype: torch.dtype) -> Tensor:
    return batched_logits(for_scoring(arbitrary_gpt(made), dtype=dtype), tokens, batch_windows=2)


def batched_logits(scorer: Scorer, tokens: Tensor, batch_windows: int) -> Tensor:
    return torch.cat([scorer.logits(batch) for batch in tokens.split(batch_windows)])


@pytest.mark.usefixtures("restored_threads", "route")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("made", "seq_len"), STEADY.values(), ids=STEADY)
def test_bits_depend_on_neither_batch_size_nor_threads(made: Network, seq_len: int, dtype: torch.dtype) -> None:
    tokens = torch.from_numpy(arbitrary_tokens(made, WINDOWS, seq_len))
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        scorer = for_scoring(arbitrary_gpt(made), dtype=dtype)
        results += [batched_logits(scorer, tokens, batch_windows) for batch_windows in (1, 2, 4)]
    assert all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("kind", Mlp)
def test_an_activation_has_the_same_bits_wherever_it_stands(kind: Mlp) -> None:
    generator = torch.Generator().manual_seed(0)
    up, gate = (4 * torch.randn((1, 1, 20_000), generator=generator) for _ in range(2))

    def activated(first: int, last: int) -> Tensor:
        parts = (up[..., first:last].clone(), gate[..., first:last].clone())
        return activate_in_place(kind, *parts[: 2 if kind is Mlp.SWIGLU else 1])

    whole = activated(0, 20_000)
    pieces = [activated(first, first + 77) for first in range(0, 20_000, 77)]
    assert torch.equal(whole, torch.cat(pieces, dim=-1))


@pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)
def test_bfloat16_is_close_and_gives_float32(made: Network) -> None:
    tokens = torch.from_numpy(arbitrary_tokens(made, 2, 24))
    exact = logits_of(made, tokens, dtype=torch.float32)
    rounded = logits_of(made, tokens, dtype=torch.bfloat16)
    assert rounded.dtype == torch.float32
    relative = (rounded - exact).norm() / exact.norm()
    assert 1e-4 < relative < 3e-2


def test_a_scorer_needs_no_gradient_and_holds_no_frozen_map_or_adapter() -> None:
    gpt = arbitrary_gpt(NETWORKS["lora"])
    scorer = for_scoring(gpt)
    logits = scorer.logits(torch.from_numpy(arbitrary_tokens(gpt.network, 1, 8)))
    assert not logits.requires_grad
    assert not any(parameter.requires_grad for parameter in scorer.parameters())
    assert not any("lora" in name for name, _ in [*scorer.named_parameters(), *scorer.named_buffers()])
    assert all(parameter.requires_grad for parameter in gpt.parameters())


@pytest.mark.parametrize("name", ["dense", "scale and shift"])
def test_scoring_changes_nothing_in_the_network(name: str) -> None:
    gpt = arbitrary_gpt(NETWORKS[name])
    before = {key: value.clone() for key, value in [*gpt.named_parameters(), *gpt.named_buffers()]}
    scorer = for_scoring(gpt)
    tokens = torch.from_numpy(arbitrary_tokens(gpt.network, 2, 9))
    first, second = scorer.logits(tokens), scorer.logits(tokens)
    assert torch.equal(first, second)
    assert all(torch.equal(before[key], value) for key, value in [*gpt.named_parameters(), *gpt.named_buffers()])


def test_gain_is_applied_before_the_adapter_is_added() -> None:
    gpt = arbitrary_gpt(NETWORKS["lora with gains"])
    linear = gpt.layers[0].attn.q
    expected = linear.gain[:, None] * linear.weight + 0.75 * (linear.lora_b @ linear.lora_a)
    assert torch.equal(linear.merged_weight(), expected.detach())


def test_another_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected torch\.float32 or torch\.bfloat16, got torch\.float16"):
        for_scoring(arbitrary_gpt(NETWORKS["dense"]), dtype=torch.float16)
