"""The resolved configuration of a run: every number that decides what is trained, as frozen strict values.

A config is complete: no field is ever missing, and 0 or "" says "none". Where a run takes its data from, and on which
machine it runs, is not in it. Presets (`trainer.presets`) give complete configs; a TOML file and `--set` change fields
(`trainer.overrides`). It knows the format's values, never a tensor.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from artifact.backbone import Distribution
from artifact.format import limits
from artifact.format.architecture import Adapter, Base, Count, Frozen, Gain, ModelConfig, Role
from artifact.format.errors import InvalidValue
from artifact.format.manifest import EvalMode, Quantization, Seed

SMALLEST_REAL = 1e-4  # canonical JSON writes no smaller one, and the manifest carries the config


def _not_too_small(number: float) -> float:
    if 0 < number < SMALLEST_REAL:
        raise InvalidValue("", expected=f"0 or at least {SMALLEST_REAL}", got=repr(number))
    return number


Amount = Annotated[float, Field(ge=0, lt=1e16, allow_inf_nan=False), AfterValidator(_not_too_small)]
"""A real that the manifest can carry: 0 or at least 1e-4."""
Rate = Annotated[Amount, Field(le=100)]
Fraction = Annotated[Amount, Field(le=1)]
Whole = Annotated[int, Field(ge=0, le=limits.MAX_SAFE_INTEGER)]
Label = Annotated[str, StringConstraints(max_length=limits.MAX_TEXT_CHARACTERS)]
SeedText = Annotated[Seed, BeforeValidator(lambda value: str(value) if type(value) is int else value)]


class LinearPolicy(Frozen):
    """How one kind of linear is made; fields that do not apply to `base` or `adapter` are ignored."""

    base: Base
    distribution: Distribution = Distribution.G8
    scale_log2: Annotated[int, Field(ge=-8, le=8)] = 0
    """The frozen map's standard deviation is the default one for its shape times 2^scale_log2."""
    gain: Gain = Gain.NONE
    adapter: Adapter = Adapter.NONE
    lora_rank: Annotated[Count, Field(le=limits.MAX_LORA_RANK)] = 16
    lora_scaling: Annotated[Amount, Field(gt=0)] = 1.0


class AttentionLinears(Frozen):
    """The four linears of attention."""

    q: LinearPolicy
    k: LinearPolicy
    v: LinearPolicy
    out: LinearPolicy


class MlpLinears(Frozen):
    """The linears of the MLP; `gate` counts with `model.mlp = "swiglu"` only."""

    up: LinearPolicy
    gate: LinearPolicy
    down: LinearPolicy


class LayerPolicy(Frozen):
    """Replaces the policy of `roles` in `layers`; later ones win."""

    layers: tuple[Annotated[int, Field(ge=0)], ...]
    roles: tuple[Role, ...]
    linear: LinearPolicy


class LinearsPolicy(Frozen):
    """The policy of every role, and what differs by layer."""

    attn: AttentionLinears
    mlp: MlpLinears
    overrides: tuple[LayerPolicy, ...] = ()

    def of(self, role: Role) -> LinearPolicy:
        """The policy of `role` before overrides."""
        return {
            Role.ATTN_Q: self.attn.q,
            Role.ATTN_K: self.attn.k,
            Role.ATTN_V: self.attn.v,
            Role.ATTN_OUT: self.attn.out,
            Role.MLP_UP: self.mlp.up,
            Role.MLP_GATE: self.mlp.gate,
            Role.MLP_DOWN: self.mlp.down,
        }[role]


class Order(StrEnum):
    """How windows follow each other: a new permutation each epoch, or as they stand in the shards."""

    SHUFFLED = "shuffled"
    SEQUENTIAL = "sequential"


class DataConfig(Frozen):
    """Which windows a step sees."""

    order: Order = Order.SHUFFLED


class BatchConfig(Frozen):
    """Tokens a step trains on, over all processes, and how many of them one process holds at a time at most."""

    train_batch_tokens: Count
    micro_batch_tokens: Count


class MatrixOptimizer(StrEnum):
    """Who updates a group of matrices."""

    MUON = "muon"
    ADAMW = "adamw"


class OptimConfig(Frozen):
    """Learning rates at full schedule, per group of parameters; Muon for matrices, AdamW for the rest."""

    learned: MatrixOptimizer = MatrixOptimizer.MUON
    lora: MatrixOptimizer = MatrixOptimizer.MUON
    learned_lr: Rate = 0.04
    lora_a_lr: Rate = 0.04
    lora_b_lr: Rate = 0.04
    embedding_lr: Rate = 0.05
    control_lr: Rate = 0.04
    weight_decay: Fraction = 0.0
    """Decoupled, on matrices alone."""
    muon_momentum: Annotated[Fraction, Field(lt=1)] = 0.95
    muon_momentum_start: Annotated[Fraction, Field(lt=1)] = 0.85
    muon_momentum_warmup_steps: Whole = 300
    muon_ns_steps: Annotated[int, Field(ge=1, le=10)] = 5
    adam_beta1: Annotated[Fraction, Field(lt=1)] = 0.9
    adam_beta2: Annotated[Fraction, Field(lt=1)] = 0.95
    grad_clip: Amount = 0.0
    """Largest norm of the whole gradient; 0 = no clipping."""


class ScheduleConfig(Frozen):
    """The factor on every learning rate: up over `warmup_steps`, 1, then linearly down to the end of the run."""

    warmup_steps: Whole = 0
    warmdown_fraction: Fraction = 0.3
    """Share of the run, by wall clock (by steps in a run that has no time limit), spent on the way down."""
    final_fraction: Fraction = 0.0


class EmaConfig(Frozen):
    """The average of the weights that is packed in their place; decay 0 = none."""

    decay: Annotated[Fraction, Field(lt=1)] = 0.0
    start_fraction: Fraction = 0.8
    """Share of the run after which averaging starts: an average from the first step would remember a zero B."""


class FreezeConfig(Frozen):
    """Learned weights of `roles` stop learning after a share of the run; they are stored all the same."""

    roles: tuple[Role, ...] = ()
    after_fraction: Fraction = 0.5


class BudgetConfig(Frozen):
    """What ends a run: the first of the limits that is reached; 0 = no such limit, and one of them must stand."""

    train_seconds: Amount
    """From after set-up and warm-up to the end of quantisation and compression; never exceeded."""
    max_steps: Whole = 0
    margin_seconds: Amount = 0.25
    """Kept free on top of the measured time to quantise and pack."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if not self.train_seconds and not self.max_steps:
            raise InvalidValue("train_seconds", expected="train_seconds or max_steps above 0", got="both 0")
        return self


class EvalConfig(Frozen):
    """The windows of the entry's score, and how often a running training looks at it."""

    mode: EvalMode = EvalMode.PLAIN
    seq_len: Whole = 0
    """0: that of the model."""
    stride: Whole = 0
    """0: seq_len, as plain windows must have it."""
    batch_windows: Count = 4
    every_seconds: Amount = 0.0
    every_steps: Whole = 0
    running_tokens: Count = 65_536
    """A running training scores this much of the validation stream; its time counts as training time."""


class QuantizationConfig(Frozen):
    """How each group is stored; see docs/format.md."""

    embedding: Quantization
    learned: Quantization
    lora_a: Quantization
    lora_b: Quantization
    control: Quantization
    clip_search: bool = False


class Precision(StrEnum):
    """Arithmetic of the training step; `auto`: bfloat16 autocast on a GPU, float32 on a CPU."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Switch(StrEnum):
    """`auto`: on for a GPU, off for a CPU."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class RunConfig(Frozen):
    """Names, seeds and habits of the run."""

    name: Annotated[Label, Field(min_length=1)] = "seedgolf"
    author: Label = ""
    license: Label = ""
    seed: SeedText = "1"
    """Of the data's order and the initial weights."""
    backbone_seed: SeedText = "1"
    precision: Precision = Precision.AUTO
    compile: Switch = Switch.AUTO
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of a process; 0: all that torch sees, or one where that is faster."""
    log_every_steps: Count = 10
    checkpoint_every_seconds: Amount = 60.0
    """0 = only when the run is interrupted."""


class Config(Frozen):
    """Everything that decides what is trained."""

    preset: Annotated[Label, Field(min_length=1)]
    model: ModelConfig
    linears: LinearsPolicy
    data: DataConfig = DataConfig()
    batch: BatchConfig
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig = EmaConfig()
    freeze: FreezeConfig = FreezeConfig()
    budget: BudgetConfig
    eval: EvalConfig = EvalConfig()
    quantization: QuantizationConfig
    run: RunConfig = RunConfig()

    @model_validator(mode="after")
    def _batch_is_whole_windows(self) -> Self:
        tokens, seq_len = self.batch.train_batch_tokens, self.model.seq_len
        if tokens % seq_len:
            expected = f"a multiple of model.seq_len = {seq_len}"
            raise InvalidValue("batch.train_batch_tokens", expected=expected, got=str(tokens))
        return self
