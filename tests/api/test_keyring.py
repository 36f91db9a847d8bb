"""The signing key's file: made once, by one process, and replaced without losing the old one."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli import rotate_key
from api.keyring import load_or_make, rotate
from verifier.keys import BadKey, public_path, read_private_key, read_public_key


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"
    with ThreadPoolExecutor(8) as pool:
        ids = {key.public.keyid for key in pool.map(lambda _: load_or_make(path), range(16))}
    assert ids == {read_private_key(path).public.keyid} == {read_public_key(public_path(path)).keyid}
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == ["signing.pem", "signing.pem.pub"]


def test_a_rotation_keeps_the_old_key_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    old = load_or_make(path).public.keyid
    new = rotate(path).new.public.keyid
    assert new != old
    assert load_or_make(path).public.keyid == new == read_public_key(public_path(path)).keyid
    kept = read_private_key(path.with_name(f"signing.pem.{old[:16]}"))
    assert kept.public.keyid == old
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    path.write_text("hello")
    with pytest.raises(BadKey):
        load_or_make(path)


def test_the_command_replaces_the_key_and_names_both(tmp_path: Path) -> None:
    old = load_or_make(tmp_path / "keys" / "signing.pem").public.keyid
    result = CliRunner().invoke(rotate_key, ["--data", str(tmp_path)])
    assert result.exit_code == 0, result.output
    new = load_or_make(tmp_path / "keys" / "signing.pem").public.keyid
    assert old != new
    assert f"old key  {old}\nnew key  {new}\n" in result.stdout


def test_a_folder_without_a_key_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(rotate_key, ["--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "expected a signing key, got none" in result.stderr
