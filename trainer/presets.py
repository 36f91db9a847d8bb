"""Presets: complete configs as functions, one per published design of the family and two for a first look.

    smoke, demo                                  this machine, now
    lora_768, full_freeze, scale_shift, vera     nothing but adapters and controls is learned
    mlp_up, adapter_mlp, selective               some roles are frozen, the others learned
    progressive, dense                           everything is learned; a part stops learning; nothing is frozen

Shapes and sources stand in docs/training.md. All but the first two are made for the challenge: one to eight GPUs,
600 s, an artifact below 16,000,000 bytes.
"""

from collections.abc import Callable
from typing import Final

from artifact.backbone import Distribution
from artifact.format.architecture import Adapter, Base, Gain, Mlp, ModelConfig, Residual, Role
from artifact.format.manifest import CodesQuantization, FloatQuantization, FloatType
from trainer.config import (
    AttentionLinears,
    BatchConfig,
    BudgetConfig,
    Config,
    EmaConfig,
    EvalConfig,
    FreezeConfig,
    LayerPolicy,
    LinearPolicy,
    LinearsPolicy,
    MlpLinears,
    OptimConfig,
    QuantizationConfig,
    RunConfig,
    ScheduleConfig,
)
from trainer.errors import ConfigError

CHALLENGE: Final = BudgetConfig(train_seconds=600.0, margin_seconds=2.0)
GPU_BATCH: Final = BatchConfig(train_batch_tokens=524_288, micro_batch_tokens=65_536)
GPU_EVAL: Final = EvalConfig(batch_windows=64, every_seconds=60.0, running_tokens=1_048_576)
GPU_EMA: Final = EmaConfig(decay=0.997, start_fraction=0.8)
LEARNED: Final = LinearPolicy(base=Base.LEARNED)
MATRIX_GAIN: Final = LinearPolicy(base=Base.RANDOM, gain=Gain.MATRIX)
CHANNEL_GAIN: Final = LinearPolicy(base=Base.RANDOM, gain=Gain.CHANNEL)


def smoke() -> Config:
    """Seconds on a CPU: proves the path from text to a packed, rebuilt and scored artifact; learns little."""
    return Config(
        preset="smoke",
        model=_model(num_layers=2, model_dim=64, num_heads=2, num_kv_heads=1, mlp_hidden_dim=128, seq_len=256),
        linears=_lora(rank=8),
        batch=BatchConfig(train_batch_tokens=4_096, micro_batch_tokens=4_096),
        budget=BudgetConfig(train_seconds=4.0, max_steps=40),
        eval=EvalConfig(batch_windows=16, every_steps=20, running_tokens=16_384),
        quantization=_quantization(),
        run=RunConfig(name="smoke", log_every_steps=5),
    )


def demo() -> Config:
    """A minute and a half on 2 CPU cores: MLP-up frozen, the rest learned; beats `xz -9e` on the built-in corpus."""
    mlp = MlpLinears(up=CHANNEL_GAIN, gate=CHANNEL_GAIN, down=LEARNED)
    return Config(
        preset="demo",
        model=_model(num_layers=2, model_dim=192, num_heads=3, num_kv_heads=1, mlp_hidden_dim=576, seq_len=128),
        linears=LinearsPolicy(attn=_attention(LEARNED), mlp=mlp),
        batch=BatchConfig(train_batch_tokens=2_048, micro_batch_tokens=2_048),
        optim=OptimConfig(embedding_lr=0.06),
        schedule=ScheduleConfig(warmdown_fraction=0.6),
        budget=BudgetConfig(train_seconds=90.0, margin_seconds=1.0),
        eval=EvalConfig(batch_windows=16, every_seconds=20.0, running_tokens=16_384),
        quantization=_quantization(),
        run=RunConfig(name="demo"),
    )


def lora_768() -> Config:
    """Everything frozen, rank 16, 12 layers of 768: the shape of public PR 1295."""
    return _challenge("lora_768", _model(), _lora(rank=16))


def full_freeze() -> Config:
    """Everything frozen and orthonormal, rank 32, 11 layers of 512 (public PR 1113)."""
    model = _model(num_layers=11, model_dim=512, num_heads=8, num_kv_heads=4, mlp_hidden_dim=1024)
    return _challenge("full_freeze", model, _lora(rank=32, distribution=Distribution.ORTHO))


def scale_shift() -> Config:
    """Everything frozen and orthonormal, one gain and one shift per channel, 9 layers of 512 (public PR 1195)."""
    spec = LinearPolicy(base=Base.RANDOM, distribution=Distribution.ORTHO, gain=Gain.CHANNEL, adapter=Adapter.SHIFT)
    return _challenge("scale_shift", _baseline(), _linears(attn=spec, mlp=spec))


def vera() -> Config:
    """Everything frozen, adapters of two learned diagonals around frozen factors (VeRA; public PR 1301)."""
    spec = LinearPolicy(base=Base.RANDOM, adapter=Adapter.VERA, lora_rank=256)
    return _challenge("vera", _model(), _linears(attn=spec, mlp=spec))


def mlp_up() -> Config:
    """MLP-up of layers 0 to 4 of 12 frozen under a gain per channel, the rest learned at 6 bits (public PR 1228)."""
    frozen = LayerPolicy(layers=(0, 1, 2, 3, 4), roles=(Role.MLP_UP,), linear=CHANNEL_GAIN)
    linears = _linears(attn=LEARNED, mlp=LEARNED).model_copy(update={"overrides": (frozen,)})
    model = _model(model_dim=512, num_heads=8, num_kv_heads=4, mlp_hidden_dim=1344)
    return _challenge("mlp_up", model, linears, learned_bits=6)


def adapter_mlp() -> Config:
    """All MLPs frozen under rank 160, attention learned, 12 layers of 512 (public PR 2058)."""
    spec = LinearPolicy(base=Base.RANDOM, adapter=Adapter.LORA, lora_rank=160)
    model = _model(model_dim=512, num_heads=8, num_kv_heads=4, mlp_hidden_dim=1536)
    return _challenge("adapter_mlp", model, _linears(attn=LEARNED, mlp=spec), lora_bits=7)


def selective() -> Config:
    """SwiGLU with gate and up frozen under a gain per channel; attention and down learned (public PR 1301)."""
    model = _model(num_layers=10, model_dim=512, num_heads=8, num_kv_heads=4, mlp_hidden_dim=1408, mlp=Mlp.SWIGLU)
    mlp = MlpLinears(up=CHANNEL_GAIN, gate=CHANNEL_GAIN, down=LEARNED)
    return _challenge("selective", model, LinearsPolicy(attn=_attention(LEARNED), mlp=mlp))


def progressive() -> Config:
    """All learned; MLP-up stops learning after half of the run, which makes the rest faster (public PR 1301)."""
    config = _challenge("progressive", _baseline(), _linears(attn=LEARNED, mlp=LEARNED))
    return config.model_copy(update={"freeze": FreezeConfig(roles=(Role.MLP_UP,), after_fraction=0.5)})


def dense() -> Config:
    """The control: 9 layers of 512, everything learned, nothing frozen."""
    return _challenge("dense", _baseline(), _linears(attn=LEARNED, mlp=LEARNED))


PRESETS: Final[dict[str, Callable[[], Config]]] = {
    function.__name__: function
    for function in (
        smoke,
        demo,
        lora_768,
        full_freeze,
        scale_shift,
        vera,
        mlp_up,
        adapter_mlp,
        selective,
        progressive,
        dense,
    )
}


def preset(name: str) -> Config:
    """The preset `name`.

    Raises:
        ConfigError: there is none of this name; the message lists them.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]()


def _challenge(
    name: str, model: ModelConfig, linears: LinearsPolicy, *, learned_bits: int = 8, lora_bits: int = 8
) -> Config:
    """The settings that every preset for the challenge shares."""
    return Config(
        preset=name,
        model=model,
        linears=linears,
        batch=GPU_BATCH,
        optim=OptimConfig(muon_momentum_warmup_steps=500),
        schedule=ScheduleConfig(warmup_steps=20),
        ema=GPU_EMA,
        budget=CHALLENGE,
        eval=GPU_EVAL,
        quantization=_quantization(learned_bits=learned_bits, lora_bits=lora_bits),
        run=RunConfig(name=name),
    )


def _model(
    *,
    num_layers: int = 12,
    model_dim: int = 768,
    num_heads: int = 12,
    num_kv_heads: int = 4,
    mlp_hidden_dim: int = 2304,
    mlp: Mlp = Mlp.RELU2,
    seq_len: int = 1024,
) -> ModelConfig:
    """A network of the family: tied embeddings, qk norm, U-net skips, residual mixing; 1024 pieces."""
    return ModelConfig(
        vocab_size=1024,
        num_layers=num_layers,
        model_dim=model_dim,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        mlp_hidden_dim=mlp_hidden_dim,
        mlp=mlp,
        rope_base=10_000.0,
        rope_dims=model_dim // num_heads,
        logit_softcap=30.0,
        tie_embeddings=True,
        qk_norm=True,
        residual=Residual.UNET_SKIP,
        residual_mix=True,
        seq_len=seq_len,
    )


def _baseline() -> ModelConfig:
    """9 layers of 512, MLP twice as wide: the challenge's own baseline."""
    return _model(num_layers=9, model_dim=512, num_heads=8, num_kv_heads=4, mlp_hidden_dim=1024)


def _lora(*, rank: int, distribution: Distribution = Distribution.G8) -> LinearsPolicy:
    """Everything frozen under adapters of one rank."""
    spec = LinearPolicy(base=Base.RANDOM, distribution=distribution, adapter=Adapter.LORA, lora_rank=rank)
    return _linears(attn=spec, mlp=spec)


def _linears(*, attn: LinearPolicy, mlp: LinearPolicy) -> LinearsPolicy:
    return LinearsPolicy(attn=_attention(attn), mlp=MlpLinears(up=mlp, gate=mlp, down=mlp))


def _attention(spec: LinearPolicy) -> AttentionLinears:
    return AttentionLinears(q=spec, k=spec, v=spec, out=spec)


def _quantization(*, learned_bits: int = 8, lora_bits: int = 8) -> QuantizationConfig:
    """Codes everywhere but on controls, whose few numbers gate whole channels."""
    codes = {bits: CodesQuantization.model_validate({"bits": bits, "scale": FloatType.FLOAT16}) for bits in range(4, 9)}
    return QuantizationConfig(
        embedding=codes[8],
        learned=codes[learned_bits],
        lora_a=codes[lora_bits],
        lora_b=codes[lora_bits],
        control=FloatQuantization(dtype=FloatType.FLOAT16),
    )
