"""Who updates which parameter, and how a schedule reaches the optimizers.

Matrices (learned weights and LoRA factors) go to Muon, everything else to AdamW; the config may send either kind of
matrix to AdamW instead. All state is float32 and belongs to named parameters, so that a checkpoint is a table of
tensors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer

from artifact.format.manifest import Group
from trainer.config import MatrixOptimizer, OptimConfig
from trainer.muon import StackedMuon

ADAM_EPS: Final = 1e-8
MATRIX_GROUPS: Final = (Group.LEARNED, Group.LORA_A, Group.LORA_B)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedParameter:
    """A learned tensor of the network with its place in the format."""

    name: str
    group: Group
    parameter: Parameter


class Optimizers:
    """Muon and AdamW over one model; a parameter that no longer requires a gradient is left alone."""

    def __init__(self, parameters: Sequence[GroupedParameter], optim: OptimConfig) -> None:
        self._names: dict[Parameter, str] = {item.parameter: item.name for item in parameters}
        muon: dict[Group, list[Parameter]] = {}
        adamw: dict[Group, list[Parameter]] = {}
        for item in parameters:
            chosen = muon if uses_muon(item.group, optim) else adamw
            chosen.setdefault(item.group, []).append(item.parameter)
        self._muon = _muon(muon, optim)
        self._adamw = _adamw(adamw, optim)

    @property
    def _all(self) -> list[Optimizer]:
        return [optimizer for optimizer in (self._muon, self._adamw) if optimizer is not None]

    def step(self, *, lr_factor: float, momentum: float) -> None:
        """Update every parameter once, with each group's own rate times `lr_factor`."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = group["full_lr"] * lr_factor
        if self._muon is not None:
            for group in self._muon.param_groups:
                group["momentum"] = momentum
        for optimizer in self._all:
            optimizer.step()

    def release(self, parameters: Iterable[Parameter]) -> None:
        """Stop updating these parameters for good and forget their state."""
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
            for optimizer in self._all:
                optimizer.state.pop(parameter, None)

    def state(self) -> dict[str, Tensor]:
        """Every state tensor, named `<parameter>/<state>`."""
        return {
            f"{name}/{key}": value
            for parameter, name in self._names.items()
            for optimizer in self._all
            for key, value in optimizer.state.get(parameter, {}).items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave; parameters without state there start afresh."""
        parameters = {name: parameter for parameter, name in self._names.items()}
        for optimizer in self._all:
            optimizer.state.clear()
        for key, value in tensors.items():
            name, _, entry = key.rpartition("/")
            parameter = parameters[name]
            owner = next(o for o in self._all if any(parameter is p for g in o.param_groups for p in g["params"]))
            owner.state[parameter][entry] = value.to(parameter.device, copy=True)


def uses_muon(group: Group, optim: OptimConfig) -> bool:
    """Whether Muon updates a group."""
    if group not in MATRIX_GROUPS:
        return False
    chosen = optim.learned if group is Group.LEARNED else optim.lora
    return chosen is MatrixOptimizer.MUON


def rate(group: Group, optim: OptimConfig) -> float:
    """The learning rate of a group at full schedule."""
    return {
        Group.EMBEDDING: optim.embedding_lr,
        Group.LEARNED: optim.learned_lr,
        Group.LORA_A: optim.lora_a_lr,
        Group.LORA_B: optim.lora_b_lr,
        Group.CONTROL: optim.control_lr,
    }[group]


def _muon(groups: Mapping[Group, list[Parameter]], optim: OptimConfig) -> StackedMuon | None:
    if not groups:
        return None
    tables = [_table(group, params, optim) for group, params in groups.items()]
    return StackedMuon(tables, lr=0.0, momentum=optim.muon_momentum, ns_steps=optim.muon_ns_steps)


def _adamw(groups: Mapping[Group, list[Parameter]], optim: OptimConfig) -> AdamW | None:
    if not groups:
        return None
    tables = [_table(group, params, optim) for group, params in groups.items()]
    return AdamW(tables, lr=0.0, betas=(optim.adam_beta1, optim.adam_beta2), eps=ADAM_EPS, fused=True)


def _table(group: Group, params: list[Parameter], optim: OptimConfig) -> dict[str, Any]:
    decay = optim.weight_decay if group in MATRIX_GROUPS else 0.0
    return {"params": params, "full_lr": rate(group, optim), "weight_decay": decay}
