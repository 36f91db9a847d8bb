"""Artifact <-> GPT: build what a file declares, export what a network learned."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from artifact.format.container import Artifact
from artifact.format.tensors import learned_parameters
from artifact.model.gpt import GPT

Floats = NDArray[np.float32]


def build(artifact: Artifact, *, device: torch.device | str = "cpu") -> GPT:
    """The network of an artifact: frozen maps from its seed, learned parameters dequantised."""
    gpt = GPT(artifact.manifest, backbone_seed=int(artifact.manifest.backbone.seed), device=device)
    load_parameters(gpt, artifact.parameters())
    return gpt


@torch.no_grad()
def load_parameters(gpt: GPT, parameters: Mapping[str, Floats]) -> None:
    """Set every learned parameter of `gpt`.

    Law: `load_parameters(g, export(g))` changes nothing.

    Raises:
        ValueError: names or shapes other than the network's.
    """
    wanted = {parameter.name: parameter.shape for parameter in learned_parameters(gpt.network)}
    if odd := sorted(wanted.keys() ^ parameters.keys()):
        raise ValueError(
            f"parameters: expected the network's {len(wanted)} names, missing or unknown: {', '.join(odd)}"
        )
    for name, shape in wanted.items():
        if parameters[name].shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {parameters[name].shape}")
    for name, parameter in gpt.named_parameters():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(parameters[name])))


def export(gpt: GPT) -> dict[str, Floats]:
    """Every learned parameter as a float32 array of its own, in the order of the network."""
    names = [parameter.name for parameter in learned_parameters(gpt.network)]
    return {name: gpt.get_parameter(name).detach().cpu().numpy().copy() for name in names}
