"""The network of a declaration: frozen maps filled from the seed, learned parameters under the names that files use.

`named_parameters()` is exactly `learned_parameters(network)`, and `state_dict()` holds those and no frozen map.
"""

from collections.abc import Collection, Iterator

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional

from artifact.backbone.device import fill_all
from artifact.format.architecture import Base, Network, Role, resolve
from artifact.format.tensors import random_maps
from artifact.model.attention import Attention
from artifact.model.decoder import Decoder, Layer
from artifact.model.linear import Linear
from artifact.model.mlp import Mlp


class GPT(Decoder):
    """A network to train, or to merge for scoring. Learned parameters start at zero: initialise or load them."""

    def __init__(self, network: Network, *, backbone_seed: int, device: torch.device | str = "cpu") -> None:
        """Allocate the network and fill its frozen maps.

        Args:
            network: what to build; a manifest is one.
            backbone_seed: the 64-bit seed of the frozen maps.
            device: where it lives.

        Raises:
            InvalidValue: linears that do not fit the model.
            NoConstructionError: a frozen map whose order has no construction.
        """
        device = torch.device(device)
        super().__init__(network.model, _layers(network, device), device=device)
        self.network = network
        maps = random_maps(network)
        frozen = {random_map.name: self.get_buffer(random_map.name) for random_map in maps}
        fill_all(frozen, seed=backbone_seed, maps=maps, threads=torch.get_num_threads())

    def forward(self, tokens: Int64[Tensor, "B T"], targets: Int64[Tensor, "B T"]) -> Float32[Tensor, ""]:
        """The loss, so that DistributedDataParallel and torch.compile wrap it."""
        return self.loss(tokens, targets)

    def loss(self, tokens: Int64[Tensor, "B T"], targets: Int64[Tensor, "B T"]) -> Float32[Tensor, ""]:
        """Mean nats per target."""
        return functional.cross_entropy(self.logits(tokens).flatten(0, 1), targets.flatten())

    def linears(self) -> Iterator[tuple[int, Role, Linear]]:
        """Every linear with its layer and role, in the order of the network."""
        for layer in range(self.model.num_layers):
            for role in self.model.roles:
                linear = self.get_submodule(f"layers.{layer}.{role.value}")
                assert isinstance(linear, Linear)
                yield layer, role, linear

    def freeze(self, *, roles: Collection[Role], layers: Collection[int]) -> list[str]:
        """Stop the training of the learned weights of `roles` in `layers`; they stay learned, so files store them.

        A wrapper that counts gradients (DistributedDataParallel) or a compiled graph must be made anew afterwards.

        Returns:
            The names of the parameters that no longer train.
        """
        frozen = []
        for layer, role, linear in self.linears():
            if layer in layers and role in roles and linear.spec.base is Base.LEARNED:
                linear.weight.requires_grad_(False)
                linear.weight.grad = None
                frozen.append(f"layers.{layer}.{role.value}.weight")
        return frozen


def _layers(network: Network, device: torch.device) -> Iterator[Layer]:
    model, table = network.model, resolve(network)
    for index in range(model.num_layers):
        made = {role: Linear(table[index, role], model.shape(role), device=device) for role in model.roles}
        attn = Attention(model, q=made[Role.ATTN_Q], k=made[Role.ATTN_K], v=made[Role.ATTN_V], out=made[Role.ATTN_OUT])
        mlp = Mlp(model.mlp, up=made[Role.MLP_UP], gate=made.get(Role.MLP_GATE), down=made[Role.MLP_DOWN])
        yield Layer(model, attn=attn, mlp=mlp, device=device)
