"""The closed set of architectures: what a manifest may declare, and which linear layer is built how (F-24 ...).

Values only: no tensor, no torch. `artifact.format.tensors` says which tensors a declaration implies,
`artifact.model` what they compute.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from artifact.backbone import Distribution
from artifact.format import limits
from artifact.format.errors import InvalidValue, shown

Count = Annotated[int, Field(ge=1)]
Real = Annotated[float, Field(allow_inf_nan=False)]


class Frozen(BaseModel):
    """Base of every manifest value: immutable, strict types, unknown keys refused, no defaults but absence."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", revalidate_instances="never")


class Mlp(StrEnum):
    """The feed-forward nonlinearity; leaky slope 0.5, `2` = squared."""

    RELU2 = "relu2"
    LEAKY_RELU2 = "leaky_relu2"
    SWIGLU = "swiglu"


class Residual(StrEnum):
    """Plain residual stream, or U-net skips from the first half of the layers to the last."""

    PLAIN = "plain"
    UNET_SKIP = "unet_skip"


class Role(StrEnum):
    """The place of a linear layer inside a layer; the value is its part of the tensor's name."""

    ATTN_Q = "attn.q"
    ATTN_K = "attn.k"
    ATTN_V = "attn.v"
    ATTN_OUT = "attn.out"
    MLP_UP = "mlp.up"
    MLP_GATE = "mlp.gate"
    MLP_DOWN = "mlp.down"


class Base(StrEnum):
    """`random`: regenerated from the seed, 0 bytes. `learned`: stored."""

    RANDOM = "random"
    LEARNED = "learned"


class Gain(StrEnum):
    """The learned factor on the random map: none, one per matrix, one per output channel."""

    NONE = "none"
    MATRIX = "matrix"
    CHANNEL = "channel"


class Adapter(StrEnum):
    """What is added to the gained random map."""

    NONE = "none"
    SHIFT = "shift"
    LORA = "lora"
    VERA = "vera"


class ModelConfig(Frozen):
    """The network's shape. Lengths in tokens, dimensions in channels."""

    vocab_size: Annotated[Count, Field(le=limits.MAX_VOCAB_SIZE)]
    num_layers: Annotated[Count, Field(le=limits.MAX_LAYERS)]
    model_dim: Annotated[Count, Field(le=limits.MAX_MODEL_DIM)]
    num_heads: Annotated[Count, Field(le=limits.MAX_MODEL_DIM)]
    num_kv_heads: Annotated[Count, Field(le=limits.MAX_MODEL_DIM)]
    mlp_hidden_dim: Annotated[Count, Field(le=limits.MAX_MLP_HIDDEN_DIM)]
    mlp: Mlp
    rope_base: Annotated[Real, Field(ge=1, lt=1e16)]
    rope_dims: Annotated[int, Field(ge=2)]
    logit_softcap: Annotated[Real, Field(ge=0, lt=1e16)]
    """0 = no softcap."""
    tie_embeddings: bool
    qk_norm: bool
    residual: Residual
    residual_mix: bool
    seq_len: Annotated[Count, Field(le=limits.MAX_SEQ_LEN_TOKENS)]

    @property
    def head_dim(self) -> int:
        """K, channels of one head."""
        return self.model_dim // self.num_heads

    @property
    def kv_dim(self) -> int:
        """G * K, rows of the key and value maps."""
        return self.num_kv_heads * self.head_dim

    @property
    def num_skips(self) -> int:
        """How many U-net skips there are."""
        return self.num_layers // 2 if self.residual is Residual.UNET_SKIP else 0

    @property
    def roles(self) -> tuple[Role, ...]:
        """The linears of every layer, in the order in which the network runs them."""
        gated = self.mlp is Mlp.SWIGLU
        return tuple(role for role in Role if gated or role is not Role.MLP_GATE)

    def shape(self, role: Role) -> tuple[int, int]:
        """`(out, in)` of a linear."""
        D, F = self.model_dim, self.mlp_hidden_dim
        if role in {Role.ATTN_K, Role.ATTN_V}:
            return self.kv_dim, D
        if role in {Role.MLP_UP, Role.MLP_GATE}:
            return F, D
        return (D, F) if role is Role.MLP_DOWN else (D, D)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.model_dim % self.num_heads or self.head_dim % 2:
            got = f"{self.model_dim} / {self.num_heads}"
            raise InvalidValue("num_heads", expected="model_dim / num_heads to be an even integer", got=got)
        if self.num_heads % self.num_kv_heads:
            got = f"{self.num_heads} and {self.num_kv_heads}"
            raise InvalidValue("num_kv_heads", expected="a divisor of num_heads", got=got)
        if self.rope_dims % 2 or self.rope_dims > self.head_dim:
            expected = f"an even number of at most head_dim = {self.head_dim}"
            raise InvalidValue("rope_dims", expected=expected, got=str(self.rope_dims))
        return self


class LinearSpec(Frozen):
    """How one linear is made: y = g * (W x) + lora_scaling * B (A x) + shift, or the VeRA term in LoRA's place.

    Fields that do not apply are absent: `distribution` and `exponent` belong to `random`, `lora_rank` to `lora` and
    `vera`, `lora_scaling` to `lora`. A learned base takes neither gain nor adapter.
    """

    base: Base
    distribution: Distribution | None = None
    exponent: Annotated[int, Field(ge=0, le=limits.MAX_EXPONENT)] | None = None
    """weight = code * 2^-exponent."""
    gain: Gain
    adapter: Adapter
    lora_rank: Annotated[Count, Field(le=limits.MAX_LORA_RANK)] | None = None
    lora_scaling: Annotated[Real, Field(ge=1e-4, lt=1e16)] | None = None

    @model_validator(mode="after")
    def _fields_belong_together(self) -> Self:
        random = self.base is Base.RANDOM
        if not random and (self.gain is not Gain.NONE or self.adapter is not Adapter.NONE):
            got = f"gain {self.gain.value}, adapter {self.adapter.value}"
            raise InvalidValue("base", expected="gain none and adapter none with a learned base", got=got)
        low_rank = self.adapter in {Adapter.LORA, Adapter.VERA}
        _present("distribution", self.distribution, wanted=random, when="base random")
        _present("exponent", self.exponent, wanted=random, when="base random")
        _present("lora_rank", self.lora_rank, wanted=low_rank, when="adapter lora or vera")
        _present("lora_scaling", self.lora_scaling, wanted=self.adapter is Adapter.LORA, when="adapter lora")
        return self


def _present(field: str, value: object, *, wanted: bool, when: str) -> None:
    if wanted and value is None:
        raise InvalidValue(field, expected=f"a value with {when}", got="no such key")
    if not wanted and value is not None:
        raise InvalidValue(field, expected=f"no such key without {when}", got=shown(value))


class LinearOverride(Frozen):
    """Replaces the spec of `roles` in `layers`; later overrides win."""

    layers: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    linear: LinearSpec

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(a >= b for a, b in zip(self.layers, self.layers[1:], strict=False)):
            raise InvalidValue("layers", expected="strictly ascending layer numbers", got="another order")
        if len(set(self.roles)) != len(self.roles):
            raise InvalidValue("roles", expected="every role once", got="a role twice")
        return self


class Linears(Frozen):
    """The policy: one spec per role, and overrides applied in order."""

    roles: dict[Role, LinearSpec]
    overrides: tuple[LinearOverride, ...]


class Network(Frozen):
    """What a network is: its shape, and how each of its linears is made."""

    model: ModelConfig
    linears: Linears


def resolve(network: Network) -> Mapping[tuple[int, Role], LinearSpec]:
    """The spec of every linear, keyed by (layer, role) in the order in which the network runs them.

    Raises:
        InvalidValue: roles other than the model's, or an override outside the model.
    """
    model, linears = network.model, network.linears
    wanted = set(model.roles)
    if set(linears.roles) != wanted:
        got = ", ".join(sorted(linears.roles)) or "none"
        raise InvalidValue("linears.roles", expected=", ".join(sorted(wanted)), got=got)
    table = {(layer, role): linears.roles[role] for layer in range(model.num_layers) for role in model.roles}
    for index, override in enumerate(linears.overrides):
        where = f"linears.overrides[{index}]"
        if override.layers[-1] >= model.num_layers:
            got = str(override.layers[-1])
            raise InvalidValue(f"{where}.layers", expected=f"layers below {model.num_layers}", got=got)
        if not wanted.issuperset(override.roles):
            raise InvalidValue(f"{where}.roles", expected="roles of this model", got="mlp.gate without swiglu")
        table.update({(layer, role): override.linear for layer in override.layers for role in override.roles})
    return table
