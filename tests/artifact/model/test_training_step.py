"""What a trainer relies on: the partition, the start, freezing, DistributedDataParallel and torch.compile."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from artifact.format.architecture import Network, Role
from artifact.format.tensors import learned_parameters, random_maps
from artifact.model.build import export
from artifact.model.gpt import GPT
from artifact.model.initialise import initialise
from tests.artifact.model.compiling import compiles
from tests.artifact.model.networks import (
    LEARNED,
    LORA,
    NETWORKS,
    SEED,
    SHIFT,
    VERA,
    arbitrary_gpt,
    arbitrary_tokens,
    frozen,
    network,
)

BY_NAME = pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)


def fresh(made: Network, *, seed: int = 0) -> GPT:
    gpt = GPT(made, backbone_seed=SEED)
    initialise(gpt, torch.Generator().manual_seed(seed))
    return gpt


def batch(made: Network, *shape: int) -> tuple[Tensor, Tensor]:
    tokens, targets = (torch.from_numpy(arbitrary_tokens(made, *(shape or (2, 20)), seed=seed)) for seed in (0, 1))
    return tokens, targets


def gradients(gpt: GPT) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in gpt.named_parameters() if parameter.grad is not None}


@BY_NAME
def test_trainable_is_exactly_what_is_learned_and_no_state_is_frozen(made: Network) -> None:
    gpt = GPT(made, backbone_seed=SEED)
    wanted = {parameter.name: parameter.shape for parameter in learned_parameters(made)}
    assert {name: tuple(p.shape) for name, p in gpt.named_parameters() if p.requires_grad} == wanted
    assert {name: tuple(value.shape) for name, value in gpt.state_dict().items()} == wanted
    assert {p.dtype for p in gpt.parameters()} == {torch.float32}
    frozen = {name for name, _ in gpt.named_buffers()} - {"rope.cos", "rope.sin"}
    assert frozen == {random_map.name for random_map in random_maps(made)}


@BY_NAME
def test_every_branch_starts_at_zero(made: Network) -> None:
    gpt, (tokens, _) = fresh(made), batch(made)
    streams: list[Tensor] = []
    for layer in gpt.layers:
        layer.register_forward_hook(lambda _layer, inputs, output: streams.extend((inputs[0], output)))
    gpt.logits(tokens)
    for before, after in zip(streams[::2], streams[1::2], strict=True):
        assert torch.equal(before, after)


@BY_NAME
def test_no_product_of_zeros_stops_a_gradient_for_good(made: Network) -> None:
    gpt, reached = fresh(made), set()
    for _ in range(4):
        gpt.zero_grad()
        gpt(*batch(made)).backward()
        reached |= {name for name, gradient in gradients(gpt).items() if gradient.any()}
        torch.optim.SGD(gpt.parameters(), lr=0.3).step()
    assert reached == {name for name, _ in gpt.named_parameters()}


def test_the_start_depends_on_the_generator_alone() -> None:
    made = NETWORKS["lora with gains"]
    first, again, other = (export(fresh(made, seed=seed)) for seed in (0, 0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["embed.weight"] != other["embed.weight"]).any()
    assert (first["layers.0.attn.q.lora_a"] != first["layers.1.attn.q.lora_a"]).any()


@BY_NAME
def test_the_first_loss_is_that_of_a_uniform_guess(made: Network) -> None:
    loss = fresh(made)(*batch(made)).item()
    assert loss == pytest.approx(torch.tensor(float(made.model.vocab_size)).log().item(), abs=0.05)


def test_freezing_stops_learned_weights_only_and_only_there() -> None:
    made = NETWORKS["overrides"]  # mlp.up is random in layers 0 and 2
    gpt = arbitrary_gpt(made)
    gpt(*batch(made)).backward()
    before = gradients(gpt)
    stopped = gpt.freeze(roles={Role.MLP_UP, Role.ATTN_V}, layers={0, 1})
    assert stopped == ["layers.0.attn.v.weight", "layers.1.attn.v.weight", "layers.1.mlp.up.weight"]
    assert all(gpt.get_parameter(name).grad is None for name in stopped)
    gpt.zero_grad()
    gpt(*batch(made)).backward()
    assert set(stopped) == {name for name, _ in gpt.named_parameters()} - set(gradients(gpt))
    for name, gradient in gradients(gpt).items():
        torch.testing.assert_close(gradient, before[name], rtol=1e-4, atol=1e-6)
    assert export(gpt).keys() == {parameter.name for parameter in learned_parameters(made)}


@BY_NAME
def test_autocast_changes_the_loss_a_little_and_no_master(made: Network) -> None:
    gpt = arbitrary_gpt(made)
    exact = gpt(*batch(made)).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = gpt(*batch(made))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact, abs=0.05)
    assert {gradient.dtype for gradient in gradients(gpt).values()} == {torch.float32}


@compiles
def test_the_whole_step_compiles_into_one_graph_under_autocast() -> None:
    roles = {"mlp.down": LEARNED, "mlp.gate": frozen("channel", SHIFT), "attn.out": frozen("matrix", VERA)}
    made = network(frozen(adapter=LORA), roles, mlp="swiglu", residual="unet_skip", residual_mix=True)
    gpt = arbitrary_gpt(made)
    compiled = torch.compile(gpt, fullgraph=True, backend="aot_eager")
    losses, results = [], []
    for module in (gpt, compiled):
        gpt.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = module(*batch(made))
        loss.backward()
        losses.append(loss.item())
        results.append(gradients(gpt))
    assert losses[1] == pytest.approx(losses[0], abs=2e-3)
    assert results[0].keys() == results[1].keys()


def test_distributed_data_parallel_gives_the_same_gradients(tmp_path: Path) -> None:
    made = NETWORKS["lora"]
    alone, shared = arbitrary_gpt(made), arbitrary_gpt(made)
    alone(*batch(made)).backward()
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(shared, forward_sync_buffers=False)
        wrapped(*batch(made)).backward()
        # As the group's last owner the reducer would join gloo's threads under the GIL, which they may want.
        del wrapped
    finally:
        distributed.destroy_process_group()
    expected, got = gradients(alone), gradients(shared)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
