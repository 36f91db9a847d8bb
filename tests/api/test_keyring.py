"""The signing key's file: made once, by one process, and replaced without losing the old one; keys out of use."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from api import database
from api.key_cli import retire_key, rotate_key
from api.keyring import load_or_make, rotate
from api.store import keys
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


def known(dsn: str) -> dict[str, bool]:
    """The keys of a server by id, and whether each is in use."""

    async def story() -> dict[str, bool]:
        async with database.engine(dsn, pooled=False).connect() as connection:
            return {key.keyid: key.retired_at is None for key in await keys.all_keys(connection)}

    return asyncio.run(story())


def test_the_command_replaces_the_key_retires_the_old_one_and_names_both(dsn: str, tmp_path: Path) -> None:
    old = load_or_make(tmp_path / "keys" / "signing.pem").public.keyid
    result = CliRunner().invoke(rotate_key, ["--data", str(tmp_path)], env={"SEEDGOLF_DATABASE": dsn})
    assert result.exit_code == 0, result.output
    new = load_or_make(tmp_path / "keys" / "signing.pem").public.keyid
    assert f"old key  {old}\nnew key  {new}\n" in result.stdout
    assert known(dsn) == {old: False, new: True}


def test_a_key_is_retired_by_its_id_alone_and_the_others_stay_in_use(dsn: str, tmp_path: Path) -> None:
    data, environ = ["--data", str(tmp_path)], {"SEEDGOLF_DATABASE": dsn}
    load_or_make(tmp_path / "keys" / "signing.pem")
    first, second = (CliRunner().invoke(rotate_key, data, env=environ).stdout.split()[-1] for _ in range(2))
    result = CliRunner().invoke(retire_key, [second, *data], env=environ)
    assert (result.exit_code, result.stderr) == (0, f"retired {second}\n")
    for keyid in (first, second, "0" * 64):
        again = CliRunner().invoke(retire_key, [keyid, *data], env=environ)
        assert (again.exit_code, again.stderr.count("expected the id of a key in use, got none")) == (2, 1)
    assert set(known(dsn).values()) == {False}


def test_a_folder_without_a_key_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(rotate_key, ["--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "expected a signing key, got none" in result.stderr


def test_a_key_file_that_holds_none_is_told_in_one_line_and_nothing_changes(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.pem").write_text("hello")
    result = CliRunner().invoke(rotate_key, ["--data", str(tmp_path)], env={"SEEDGOLF_DATABASE": dsn})
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
    assert known(dsn) == {}
