"""What the end-to-end tests share: the command as a user runs it, and an artifact that `seedgolf train` made."""

import os
import subprocess
import sys
from pathlib import Path

from tests.trainer.tiny import SETTINGS


def seedgolf(*arguments: str | Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SEEDGOLF_")}
    if data is not None:
        environ["SEEDGOLF_DATA"] = str(data)
    command = [sys.executable, "-m", "seedgolf", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)


def train_tiny(folder: Path) -> Path:
    """A network of 2 layers x 32, six steps on the built-in corpus, packed."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    done = seedgolf("train", "--preset", "smoke", "--out", folder, *settings)
    assert done.returncode == 0, done.stderr
    return folder / "artifact.sgolf"
