"""From a declaration to its tensors: what is learned and how it is stored, and which random maps the seed gives.

The order of every result is fixed by the manifest alone, so a reader and a writer that share this file agree on
every byte of the payload's header. Nothing is allocated: these are names and shapes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any

import numpy as np

from artifact.backbone import (
    Distribution,
    NoConstructionError,
    RandomMap,
    default_exponent,
)
from artifact.format import limits
from artifact.format.architecture import Adapter, Base, Gain, LinearSpec, ModelConfig, Network, Role, resolve
from artifact.format.errors import InvalidValue, NoConstruction
from artifact.format.manifest import CodesQuantization, FloatType, Group, ManifestBody

Shape = tuple[int, ...]


class Stored(StrEnum):
    """The payload's element types, in the order in which the payload holds them."""

    F32 = "F32"
    F16 = "F16"
    I8 = "I8"

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return {Stored.F32: 4, Stored.F16: 2, Stored.I8: 1}[self]

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy type."""
        return np.dtype({Stored.F32: "<f4", Stored.F16: "<f2", Stored.I8: "i1"}[self])


STORED_FLOATS = {FloatType.FLOAT32: Stored.F32, FloatType.FLOAT16: Stored.F16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A learned tensor as the network sees it; `slice_axis` is the axis along which scales are given."""

    name: str
    shape: Shape
    group: Group

    @property
    def slice_axis(self) -> int:
        """0, and 1 for lora_b: one scale per rank column (F-61)."""
        return 1 if self.group is Group.LORA_B else 0

    @property
    def scale_name(self) -> str:
        """The name of its scales when it is stored as codes."""
        return f"{self.name}.scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor of the payload."""

    name: str
    shape: Shape
    stored: Stored
    group: Group
    is_scale: bool = False

    @property
    def num_bytes(self) -> int:
        """Its bytes in the payload."""
        return prod(self.shape) * self.stored.item_bytes


def learned_parameters(network: Network) -> tuple[Parameter, ...]:
    """Every learned tensor that the declaration implies, in the order of the network.

    Raises:
        InvalidValue: the linears do not fit the model (see `resolve`).
    """
    return tuple(_parameters(network))


def _parameters(network: Network) -> Iterator[Parameter]:
    model, D = network.model, network.model.model_dim
    yield Parameter(name="embed.weight", shape=(model.vocab_size, D), group=Group.EMBEDDING)
    if not model.tie_embeddings:
        yield Parameter(name="head.weight", shape=(model.vocab_size, D), group=Group.EMBEDDING)
    table = resolve(network)
    for layer in range(model.num_layers):
        for role in model.roles:
            yield from _linear(f"layers.{layer}.{role.value}", table[layer, role], model.shape(role))
        yield from _layer_controls(layer, model)
    for skip in range(model.num_skips):
        yield _control(f"skips.{skip}", D)


def _layer_controls(layer: int, model: ModelConfig) -> Iterator[Parameter]:
    prefix, D = f"layers.{layer}", model.model_dim
    yield _control(f"{prefix}.attn.q_gain", model.num_heads)
    yield _control(f"{prefix}.attn_scale", D)
    yield _control(f"{prefix}.mlp_scale", D)
    if model.residual_mix:
        yield _control(f"{prefix}.resid_mix", 2, D)


def _linear(name: str, spec: LinearSpec, shape: tuple[int, int]) -> Iterator[Parameter]:
    rows, cols = shape
    if spec.base is Base.LEARNED:
        yield Parameter(name=f"{name}.weight", shape=shape, group=Group.LEARNED)
    if spec.gain is not Gain.NONE:
        yield _control(f"{name}.gain", 1 if spec.gain is Gain.MATRIX else rows)
    rank = spec.lora_rank or 0
    if spec.adapter is Adapter.SHIFT:
        yield _control(f"{name}.shift", rows)
    elif spec.adapter is Adapter.LORA:
        yield Parameter(name=f"{name}.lora_a", shape=(rank, cols), group=Group.LORA_A)
        yield Parameter(name=f"{name}.lora_b", shape=(rows, rank), group=Group.LORA_B)
    elif spec.adapter is Adapter.VERA:
        yield _control(f"{name}.vera_d", rank)
        yield _control(f"{name}.vera_g", rows)


def _control(name: str, *shape: int) -> Parameter:
    return Parameter(name=name, shape=shape, group=Group.CONTROL)


def expected_tensors(body: ManifestBody) -> tuple[StoredTensor, ...]:
    """Exactly the tensors of the payload, in its order: by type (F32, F16, I8), then bytewise name."""
    tensors = [tensor for parameter in _parameters(body) for tensor in _stored(parameter, body)]
    order = list(Stored)
    return tuple(sorted(tensors, key=lambda tensor: (order.index(tensor.stored), tensor.name)))


def _stored(parameter: Parameter, body: ManifestBody) -> Iterator[StoredTensor]:
    quantization = body.quantization.of(parameter.group)
    if not isinstance(quantization, CodesQuantization):
        stored = STORED_FLOATS[quantization.dtype]
        yield StoredTensor(name=parameter.name, shape=parameter.shape, stored=stored, group=parameter.group)
        return
    yield StoredTensor(name=parameter.name, shape=parameter.shape, stored=Stored.I8, group=parameter.group)
    yield StoredTensor(
        name=parameter.scale_name,
        shape=(parameter.shape[parameter.slice_axis],),
        stored=STORED_FLOATS[quantization.scale],
        group=parameter.group,
        is_scale=True,
    )


def random_maps(network: Network) -> tuple[RandomMap, ...]:
    """Every frozen map with its stream name, VeRA's factors included, in the order of the network.

    Raises:
        InvalidValue: the linears do not fit the model (see `resolve`).
        NoConstruction: a map whose order has no Hadamard or orthogonal construction.
    """
    shape = network.model.shape
    table = resolve(network).items()
    return tuple(m for (layer, role), spec in table for m in _maps(layer, role, spec, shape(role)))


def _maps(layer: int, role: Role, spec: LinearSpec, shape: tuple[int, int]) -> Iterator[RandomMap]:
    if spec.distribution is None or spec.exponent is None:
        return
    name, (rows, cols) = f"layers.{layer}.{role.value}", shape
    yield _random_map(f"{name}.weight", spec.distribution, shape, spec.exponent)
    if spec.adapter is Adapter.VERA and spec.lora_rank is not None:
        for factor, factor_shape in (("vera_a", (spec.lora_rank, cols)), ("vera_b", (rows, spec.lora_rank))):
            exponent = default_exponent(Distribution.G8, factor_shape)
            yield _random_map(f"{name}.{factor}", Distribution.G8, factor_shape, exponent)


def _random_map(name: str, distribution: Distribution, shape: tuple[int, int], exponent: int) -> RandomMap:
    try:
        return RandomMap(name=name, distribution=distribution, shape=shape, exponent=exponent)
    except NoConstructionError as error:
        got = f"{distribution.value} of {shape[0]} x {shape[1]}"
        raise NoConstruction(name, expected=f"an order with a construction ({error})", got=got) from None


def check_architecture(body: ManifestBody) -> None:
    """Refuse what no reader could build: linears that do not fit, orders without a construction, caps passed.

    Raises:
        InvalidValue: linears that do not fit the model, or a cap passed.
        NoConstruction: see `random_maps`.
    """
    num_parameters = count_frozen(body) + count_learned(body)
    num_tensors = len(expected_tensors(body))
    if num_tensors > limits.MAX_TENSORS:
        raise InvalidValue("manifest", expected=f"at most {limits.MAX_TENSORS} tensors", got=str(num_tensors))
    if num_parameters > limits.MAX_PARAMETERS:
        raise InvalidValue("manifest", expected=f"at most {limits.MAX_PARAMETERS} parameters", got=str(num_parameters))


def count_learned(network: Network) -> int:
    """Learned parameters: adapters, learned weights, embeddings and controls, without scales."""
    return sum(prod(parameter.shape) for parameter in _parameters(network))


def count_frozen(network: Network) -> int:
    """Parameters that the seed gives."""
    return sum(prod(random_map.shape) for random_map in random_maps(network))
