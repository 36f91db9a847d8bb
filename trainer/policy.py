"""From the policy of a config to the network that a manifest declares: exponents explicit, nothing ignored."""

from artifact.backbone import NoConstructionError, default_exponent
from artifact.format import limits
from artifact.format.architecture import (
    Adapter,
    Base,
    Gain,
    LinearOverride,
    Linears,
    LinearSpec,
    ModelConfig,
    Network,
    Role,
    resolve,
)
from artifact.format.errors import ArtifactError
from trainer.config import Config, LayerPolicy, LinearPolicy
from trainer.errors import ConfigError


def network(config: Config) -> Network:
    """The network that `config` trains.

    Raises:
        ConfigError: a policy that the model cannot have: an order without a construction, a layer it lacks.
    """
    model, policy = config.model, config.linears
    roles = {role: _spec(policy.of(role), role, model) for role in model.roles}
    overrides = [linear for layered in policy.overrides for linear in _overrides(layered, model)]
    declared = Network(model=model, linears=Linears(roles=roles, overrides=tuple(overrides)))
    try:
        resolve(declared)
    except ArtifactError as error:
        raise ConfigError(f"{error}; see --set linears.overrides.0.layers=[...]") from None
    return declared


def _overrides(layered: LayerPolicy, model: ModelConfig) -> list[LinearOverride]:
    """One override per role: exponents belong to shapes."""
    try:
        return [
            LinearOverride(layers=layered.layers, roles=(role,), linear=_spec(layered.linear, role, model))
            for role in layered.roles
        ]
    except ValueError as error:  # pydantic's and the format's own
        raise ConfigError(f"linears.overrides: {error}") from None


def _spec(policy: LinearPolicy, role: Role, model: ModelConfig) -> LinearSpec:
    if policy.base is Base.LEARNED:
        return LinearSpec(base=Base.LEARNED, gain=Gain.NONE, adapter=Adapter.NONE)
    low_rank = policy.adapter in {Adapter.LORA, Adapter.VERA}
    return LinearSpec(
        base=Base.RANDOM,
        distribution=policy.distribution,
        exponent=_exponent(policy, role, model),
        gain=policy.gain,
        adapter=policy.adapter,
        lora_rank=policy.lora_rank if low_rank else None,
        lora_scaling=policy.lora_scaling if policy.adapter is Adapter.LORA else None,
    )


def _exponent(policy: LinearPolicy, role: Role, model: ModelConfig) -> int:
    """The backbone's default for the shape, shifted by the policy's scale."""
    try:
        exponent = default_exponent(policy.distribution, model.shape(role)) - policy.scale_log2
    except NoConstructionError as error:
        raise ConfigError(f"linears.{role.value}.distribution: {error}; take g8, which has every order") from None
    if not 0 <= exponent <= limits.MAX_EXPONENT:
        expected = f"an exponent of 0 to {limits.MAX_EXPONENT}"
        raise ConfigError(f"linears.{role.value}.scale_log2: expected {expected}, got {exponent}")
    return exponent
