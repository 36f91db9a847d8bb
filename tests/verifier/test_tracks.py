from importlib import resources
from pathlib import Path

import pytest

from artifact.format import limits
from verifier.official_sets import OFFICIAL_SETS, recognise
from verifier.tracks import BadTrack, Track, UnknownTrack, load_tracks, named, parse_track, track_for

LOCAL = resources.files("verifier").joinpath("data", "tracks", "local.toml").read_text()


def test_the_built_in_tracks_have_the_limits_of_the_challenge() -> None:
    tracks = load_tracks()
    assert list(tracks) == ["10min_16mb", "local", "unlimited_16mb"]
    assert {track.limit_bytes for track in tracks.values()} == {16_000_000} == {limits.TRACK_FILE_BYTES}
    assert [track.train_seconds for track in tracks.values()] == [600.0, 600.0, None]
    assert {track.eval_seconds for track in tracks.values()} == {600.0}
    assert [track.any_valset for track in tracks.values()] == [False, True, False]


def test_the_digest_follows_the_limits_and_nothing_else() -> None:
    local = load_tracks()["local"]
    assert local.sha256 == parse_track(f"# a comment\n{LOCAL}".encode()).sha256
    assert local.sha256 != local.model_copy(update={"limit_bytes": 15_999_999}).sha256
    assert local.sha256 != local.model_copy(update={"counted_code_bytes": 50_000}).sha256


def test_the_official_sets_belong_to_the_challenge_and_everything_else_to_local() -> None:
    tracks = load_tracks()
    for known in OFFICIAL_SETS:
        assert track_for(tracks, valset_sha256="ab" * 32, official=known.name).name == "10min_16mb"
    assert track_for(tracks, valset_sha256="ab" * 32, official=None).name == "local"
    assert not tracks["10min_16mb"].accepts(valset_sha256="ab" * 32, official=None)
    assert tracks["local"].accepts(valset_sha256="ab" * 32, official=None)


def test_a_track_that_lists_a_digest_comes_before_one_that_takes_any() -> None:
    mine = load_tracks()["local"].model_copy(
        update={"name": "mine", "any_valset": False, "valset_sha256": ("ab" * 32,)}
    )
    tracks = load_tracks() | {"mine": mine}
    assert track_for(tracks, valset_sha256="ab" * 32, official=None) is mine


def test_an_operator_adds_tracks_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "class.toml").write_text(LOCAL.replace('name = "local"', 'name = "class"'))
    (tmp_path / "README.md").write_text("not a track")
    tracks = load_tracks(tmp_path)
    assert named(tracks, "class").limit_bytes == 16_000_000
    with pytest.raises(UnknownTrack, match="class"):
        named(tracks, "classes")


def test_two_tracks_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(LOCAL)
    with pytest.raises(BadTrack, match="local"):
        load_tracks(tmp_path)


BAD = {
    "no TOML": "name =",
    "no UTF-8": "name = '\udcff'",
    "a date": f"{LOCAL}\nwhen = 2026-01-01",
    "an unknown key": LOCAL.replace("any_valset", "any_set"),
    "a limit above the format's": LOCAL.replace("16_000_000", "67_108_865"),
    "a limit as text": LOCAL.replace("16_000_000", '"16 MB"'),
    "no time at all": LOCAL.replace("eval_seconds = 600.0", "eval_seconds = 0.0"),
    "an official set that there is not": LOCAL.replace("official_valsets = []", 'official_valsets = ["fineweb"]'),
    "a name with a path": LOCAL.replace('"local"', '"../local"'),
    "too long": LOCAL + "#" * 65_536,
    "nested without end": "deep = " + "[" * 30_000 + "]" * 30_000,
    "a number of 5,000 digits": f"{LOCAL}\nlong = {'9' * 5_000}",
    "no memory at all": LOCAL.replace("max_memory_bytes = 8_589_934_592", "max_memory_bytes = 0"),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_track_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadTrack, match=r"^mine\.toml"):
        parse_track(text.encode(errors="surrogateescape"), where="mine.toml")


def test_reference_hardware_is_a_device_and_a_count() -> None:
    reference = load_tracks()["10min_16mb"].reference_hardware
    assert reference is not None
    assert reference.is_met_by(device="NVIDIA H100 80GB HBM3", count=8)
    assert not reference.is_met_by(device="NVIDIA H100 80GB HBM3", count=1)
    assert not reference.is_met_by(device="NVIDIA H200", count=8)


@pytest.mark.parametrize("name", ["10min_16mb", "unlimited_16mb"])
@pytest.mark.parametrize("device", ["NVIDIA H100 PCIe", "NVIDIA H100 NVL"])
def test_an_h100_of_another_form_is_not_the_reference_hardware(name: str, device: str) -> None:
    reference = load_tracks()[name].reference_hardware
    assert reference is not None
    assert not reference.is_met_by(device=device, count=8)


def test_an_official_set_is_recognised_by_tokenizer_targets_and_bytes() -> None:
    known = OFFICIAL_SETS[0]
    totals = {"pieces_sha256": known.pieces_sha256, "targets": 62_021_632, "target_bytes": 151_080_363}
    assert recognise(**totals) == "fineweb-sp1024"  # type: ignore[arg-type]
    for change in ({"pieces_sha256": "ab" * 32}, {"targets": 62_021_631}, {"target_bytes": 151_080_364}):
        assert recognise(**totals | change) is None  # type: ignore[arg-type]


def test_a_track_is_frozen() -> None:
    track: Track = load_tracks()["local"]
    with pytest.raises(ValueError, match="frozen"):
        track.limit_bytes = 1  # type: ignore[misc]
