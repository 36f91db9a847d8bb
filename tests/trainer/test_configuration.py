"""Presets, TOML, `--set`: everything between what a person asks for and the config of a run."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact.backbone import default_exponent
from artifact.format import limits
from artifact.format.architecture import Adapter, Base, Gain, Role, resolve
from artifact.format.tensors import count_frozen, count_learned
from trainer import overrides, toml
from trainer.config import Config
from trainer.errors import ConfigError
from trainer.policy import network
from trainer.presets import PRESETS, preset

REFUSED = [
    ("model.num_layer=8", "model.num_layer: no such field; did you mean model.num_layers"),
    ("nothing.like.it=8", "--print-config shows every field"),
    ("model=8", "model: this is a section; set one of its fields: vocab_size"),
    ("model.num_layers", "expected PATH=VALUE"),
    ("=8", "expected PATH=VALUE"),
    ("model.num_layers=many", "model.num_layers: expected a number, true, false or a list, got 'many'"),
    ("model.num_layers=0", "model.num_layers: expected"),
    ("model.num_layers=2.5", "model.num_layers: expected"),
    ("model.mlp=gelu", "model.mlp: expected"),
    ("model.tie_embeddings=1", "model.tie_embeddings: expected"),
    ("model.num_heads=7", "model.num_heads: expected model_dim / num_heads to be an even integer, got 64 / 7"),
    ("batch.train_batch_tokens=1000", "batch.train_batch_tokens: expected a multiple of model.seq_len = 256"),
    ("optim.learned_lr=0.00001", "optim.learned_lr: expected 0 or at least 0.0001"),
    ("schedule.warmdown_fraction=1.5", "schedule.warmdown_fraction: expected"),
    ("quantization.lora_a.bits=3", "quantization.lora_a.bits: expected"),
    ("run.seed=-1", "run.seed: expected a decimal string"),
    ("run.seed=18446744073709551616", "run.seed: expected a decimal string"),
    ("run.author=a\u202eb", "run.author: expected no control, bidi"),
    ("freeze.roles=[1979-05-27]", "got a date or time"),
    ("linears.overrides.0.layers=[1]", "no such field"),
]


@pytest.mark.parametrize(("setting", "message"), REFUSED)
def test_a_wrong_setting_is_refused_by_name(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overrides.resolve(preset("smoke"), file={}, settings=[setting])
    assert message in str(caught.value)


def test_both_limits_at_zero_are_refused() -> None:
    with pytest.raises(ConfigError, match="train_seconds or max_steps above 0"):
        overrides.resolve(preset("smoke"), file={}, settings=["budget.train_seconds=0", "budget.max_steps=0"])


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("model.num_layers=8", ("model", "num_layers"), 8),
        ("model.rope_base=500", ("model", "rope_base"), 500.0),
        ("model.mlp=swiglu", ("model", "mlp"), "swiglu"),
        ("model.qk_norm=false", ("model", "qk_norm"), False),
        (" run.name = a = b ", ("run", "name"), "a = b"),
        ('run.name="quoted"', ("run", "name"), "quoted"),
        ("run.seed=18446744073709551615", ("run", "seed"), "18446744073709551615"),
        ("freeze.roles=['mlp.up']", ("freeze", "roles"), ["mlp.up"]),
        (
            "quantization.control={bits=8, scale='float16'}",
            ("quantization", "control"),
            {"bits": 8, "scale": "float16"},
        ),
    ],
)
def test_a_setting_replaces_one_field(setting: str, path: tuple[str, str], value: object) -> None:
    changed = overrides.to_table(overrides.resolve(preset("smoke"), file={}, settings=[setting]))
    expected = overrides.to_table(preset("smoke"))
    expected[path[0]][path[1]] = value  # type: ignore[index]
    assert changed == expected


def test_a_star_stands_for_every_key_at_its_place() -> None:
    config = overrides.resolve(
        preset("smoke"), file={}, settings=["linears.*.*.lora_rank=3", "linears.attn.*.gain=matrix"]
    )
    specs = resolve(network(config))
    assert {spec.lora_rank for spec in specs.values()} == {3}
    assert {spec.gain for (_, role), spec in specs.items() if role.value.startswith("attn")} == {Gain.MATRIX}
    assert specs[0, Role.MLP_UP].gain is Gain.NONE


def test_a_number_in_a_path_is_an_index() -> None:
    config = overrides.resolve(preset("mlp_up"), file={}, settings=["linears.overrides.0.layers=[0, 3]"])
    assert config.linears.overrides[0].layers == (0, 3)


def test_the_file_replaces_the_preset_and_settings_replace_the_file() -> None:
    file = {"preset": "smoke", "model": {"num_layers": 4}, "run": {"seed": 9}}
    config = overrides.resolve(preset("smoke"), file=file, settings=["model.num_layers=5"])
    assert (config.model.num_layers, config.run.seed) == (5, "9")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"modle": {}}, "modle: no such field"),
        ({"model": {"num_layer": 3}}, "model.num_layer: no such field; did you mean model.num_layers"),
        ({"model": 3}, "model: expected a section with fields, got 3"),
    ],
)
def test_a_file_with_an_unknown_field_is_refused(file: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        overrides.resolve(preset("smoke"), file=file, settings=[])
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="expected TOML"):
        overrides.read_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        overrides.read_file(tmp_path / "absent.toml")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_toml_and_fits_the_manifest(name: str) -> None:
    config = preset(name)
    table = overrides.to_table(config)
    assert config.preset == name
    assert tomllib.loads(toml.dumps(table)) == table
    assert overrides.from_table(tomllib.loads(toml.dumps(table))) == config
    assert len(overrides.config_text(config).encode()) < limits.MAX_CONFIG_BYTES // 2


SHAPES = {
    # name: learned and frozen parameters; 61,341,696 frozen is the 12 x 768 backbone of docs/backbone.md
    "lora_768": (2_990_736, 61_341_696),
    "full_freeze": (2_892_376, 20_185_088),
    "scale_shift": (600_136, 16_515_072),
    "vera": (907_920, 95_944_704),
    "mlp_up": (23_070_368, 3_440_640),
    "adapter_mlp": (17_853_536, 18_874_368),
    "selective": (15_648_848, 14_417_920),
    "progressive": (17_059_912, 0),
    "dense": (17_059_912, 0),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_preset_has_the_shape_of_its_design(name: str) -> None:
    declared = network(preset(name))
    assert (count_learned(declared), count_frozen(declared)) == SHAPES[name]


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'demmo': expected one of smoke, demo, lora_768"):
        preset("demmo")


def test_a_policy_becomes_a_spec_with_an_explicit_exponent_and_nothing_ignored() -> None:
    settings = ["linears.mlp.up.base=learned", "linears.attn.q.scale_log2=1", "linears.attn.out.adapter=shift"]
    config = overrides.resolve(preset("smoke"), file={}, settings=settings)
    specs = resolve(network(config))
    q = specs[0, Role.ATTN_Q]
    assert q.distribution is not None
    assert q.exponent == default_exponent(q.distribution, config.model.shape(Role.ATTN_Q)) - 1
    assert specs[0, Role.MLP_UP].model_dump(exclude_none=True) == {
        "base": Base.LEARNED,
        "gain": Gain.NONE,
        "adapter": Adapter.NONE,
    }
    assert specs[0, Role.ATTN_OUT].lora_rank is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["linears.attn.q.distribution=hada", "model.model_dim=66"], "linears.attn.q.distribution"),
        (["linears.attn.q.scale_log2=8", "linears.attn.q.distribution=rad"], "linears.attn.q.scale_log2: expected an"),
    ],
)
def test_a_policy_that_no_network_can_have_is_refused(settings: list[str], message: str) -> None:
    shape = ["model.num_heads=1", "model.num_kv_heads=1", "model.rope_dims=2"]
    config = overrides.resolve(preset("smoke"), file={}, settings=[*shape, *settings])
    with pytest.raises(ConfigError, match=message):
        network(config)


def test_a_layer_that_the_model_lacks_is_refused_with_the_way_out() -> None:
    config = overrides.resolve(preset("mlp_up"), file={}, settings=["model.num_layers=4"])
    with pytest.raises(ConfigError, match=r"layers below 4, got 4.*--set linears.overrides.0.layers"):
        network(config)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
TABLES = st.recursive(
    st.dictionaries(TEXTS, PLAIN | st.lists(PLAIN, max_size=3), max_size=4),
    lambda inner: st.dictionaries(TEXTS, PLAIN | inner | st.lists(inner, max_size=2), max_size=4),
    max_leaves=12,
)


@given(TABLES)
def test_what_is_written_as_toml_is_read_back(table: dict[str, object]) -> None:
    assert tomllib.loads(toml.dumps(table)) == table


def test_a_date_has_no_place_in_a_config() -> None:
    with pytest.raises(TypeError, match="no TOML form for object"):
        toml.dumps({"x": object()})


def test_a_config_is_immutable_and_closed() -> None:
    table = overrides.to_table(preset("smoke"))
    with pytest.raises(ConfigError, match="extra"):
        overrides.from_table(table | {"extra": 1})
    assert isinstance(overrides.from_table(table), Config)
