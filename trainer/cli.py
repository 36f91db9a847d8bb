"""The commands `seedgolf train` and `seedgolf plot`.

Exit codes of `train`: 0 trained, packed and proved; 1 the run failed; 2 the command, its config or the data are wrong;
128 + the signal's number when a signal ended it (the artifact is packed all the same). Progress goes to stderr, results
to stdout.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import click
import torch
from rich.console import Console

from artifact.format.errors import ArtifactError
from artifact.usage_fault import UsageFault
from trainer import overrides, toml
from trainer.config import Config
from trainer.corpus_files import CorpusFiles, find_corpus
from trainer.errors import ConfigError, NonFiniteLoss, RebuildMismatch, RunFolderError, TrainerError
from trainer.interrupt import Interrupt
from trainer.presets import PRESETS, preset
from trainer.reproduce import NotAccepted
from trainer.result import summary
from trainer.runfolder import RunFolder, read_files
from trainer.session import Request, run_training
from verifier.data_errors import DataError, NonFiniteNats

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE_TO_WRITE = click.Path(dir_okay=False, path_type=Path)
ANSWERS = (ArtifactError, NonFiniteLoss, NonFiniteNats, NotAccepted, RebuildMismatch)
"""What a run found out; every other fault was there before it began."""


@contextmanager
def faults_in_one_line() -> Iterator[None]:
    """End with a message and an exit code where config, data, run or disk are at fault."""
    try:
        yield
    except (TrainerError, DataError, ArtifactError) as error:
        raise (click.ClickException if isinstance(error, ANSWERS) else UsageFault)(f"{error.code}: {error}") from None
    except torch.OutOfMemoryError:
        advice = "lower --set batch.micro_batch_tokens or eval.batch_windows"
        raise UsageFault(f"the GPU's memory is full; {advice}") from None
    except OSError as error:
        raise UsageFault(f"{error.filename or 'disk'}: {error.strerror or error}") from None


@click.command(epilog="Example: seedgolf train --preset demo --out runs/demo")
@click.option(
    "--preset",
    "preset_name",
    metavar="NAME",
    shell_complete=lambda _ctx, _param, start: [name for name in PRESETS if name.startswith(start)],
    help=f"Where to start: {', '.join(PRESETS)}.",
)
@click.option("--config", "config_file", type=FILE, help="TOML file whose fields replace the preset's.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Replace one field; may be repeated.")
@click.option("--out", type=FOLDER, help="Run folder to make, or with --resume the one to go on with.")
@click.option("--data", "corpus", type=FOLDER, help="Corpus folder.  [default: the built-in corpus]")
@click.option("--train-shards", metavar="GLOB", help="Training shards; with --val-shards and --tokenizer.")
@click.option("--val-shards", metavar="GLOB", help="Validation shards.")
@click.option("--tokenizer", type=FILE, help="The shards' SentencePiece model.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the run in --out, with its own config and data.")
@click.option("--print-config", is_flag=True, help="Print the resolved config as TOML and stop.")
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard's files into the run folder, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(  # noqa: PLR0913 - one parameter an option
    *,
    preset_name: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    out: Path | None,
    corpus: Path | None,
    train_shards: str | None,
    val_shards: str | None,
    tokenizer: Path | None,
    device: str,
    resume: bool,
    print_config: bool,
    tensorboard: bool,
    as_json: bool,
) -> None:
    """Train a model inside a wall-clock budget and pack it into OUT/artifact.sgolf.

    Under torchrun every process takes its share of each batch:
    torchrun --standalone --nproc-per-node 8 -m seedgolf train --preset lora_768 --data data/sp1024 --out runs/1
    """
    given = (preset_name, config_file, settings, corpus, train_shards, val_shards, tokenizer)
    with faults_in_one_line():
        if resume:
            config, files = _of_run(out, given)
        else:
            config = _config(preset_name, config_file, settings)
            files = _files(corpus, train_shards, val_shards, tokenizer)
        if print_config:
            click.echo(toml.dumps(overrides.to_table(config)), nl=False)
            return
        if out is None:
            raise ConfigError("--out: expected the run folder to make, as in --out runs/1")
        if config_file and config_file.resolve() == RunFolder(root=out).config.resolve():
            raise ConfigError(f"--config {config_file}: the run writes its own there; take another --out")
        code = _run(
            Request(config=config, files=files, out=out, device=device, resume=resume, tensorboard=tensorboard),
            as_json=as_json,
        )
    sys.exit(code)


@click.command(epilog="Example: seedgolf plot runs/dense runs/mlp_up --out curves.svg")
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path), nargs=-1, required=True)
@click.option(
    "--out", type=FILE_TO_WRITE, default=Path("curves.png"), show_default=True, help="PNG, SVG or PDF to write."
)
@click.option(
    "--x", "axis_name", type=click.Choice(["steps", "tokens", "seconds"]), default="seconds", show_default=True
)
def plot(*, runs: tuple[Path, ...], out: Path, axis_name: str) -> None:
    """Draw training loss and val_bpb of the run folders RUNS into one picture."""
    with faults_in_one_line():
        from trainer.plot import Axis, draw, read_curves  # noqa: PLC0415 - matplotlib is an extra

        axis = Axis(axis_name)
        draw([read_curves(run, axis) for run in runs], axis, out)
    click.echo(f"wrote {out}")


def _run(request: Request, *, as_json: bool) -> int:
    """Train; the exit code says how it ended."""
    interrupt, console = Interrupt(), Console(stderr=True)
    with interrupt.listening():
        numbers = run_training(request, console=console, interrupt=interrupt, now=time.monotonic)
    if numbers is not None:
        click.echo(json.dumps(numbers, indent=2) if as_json else "\n".join(summary(numbers)))
    return interrupt.exit_code


def _config(preset_name: str | None, file: Path | None, settings: Sequence[str]) -> Config:
    """The preset that the option or the file names, with the fields of file and settings."""
    table = overrides.read_file(file) if file else {}
    name = preset_name or table.get("preset")
    if not isinstance(name, str):
        raise ConfigError(f"--preset: expected one of {', '.join(PRESETS)}")
    return overrides.resolve(preset(name), file=table, settings=settings)


def _of_run(out: Path | None, given: Sequence[object]) -> tuple[Config, CorpusFiles | None]:
    """Config and data of the run in `out`."""
    if out is None or any(given):
        raise ConfigError("--resume: expected --out alone; the run folder knows its config and data")
    folder = RunFolder(root=out)
    if not folder.config.exists():
        raise RunFolderError(f"{out}: there is no run to go on with; start one without --resume")
    if folder.is_finished:
        raise RunFolderError(f"{out}: this run is finished; train another with --config {folder.config} --out ...")
    config = overrides.from_table(overrides.read_file(folder.config))
    return config, read_files(folder.data_files) if folder.data_files.exists() else None


def _files(
    corpus: Path | None, train_shards: str | None, val_shards: str | None, tokenizer: Path | None
) -> CorpusFiles | None:
    """The data that the options name; None for the built-in corpus."""
    parts = {"--train-shards": train_shards, "--val-shards": val_shards, "--tokenizer": tokenizer}
    if not any(parts.values()):
        return None if corpus is None else find_corpus(corpus)
    missing = [name for name, value in parts.items() if not value]
    if missing or corpus is not None or not (train_shards and val_shards and tokenizer):
        got = "--data as well" if corpus else f"no {' and no '.join(missing)}"
        raise ConfigError(f"data: expected --data, or all of {', '.join(parts)}; got {got}")
    return CorpusFiles(
        tokenizer=tokenizer,
        train=_matches("--train-shards", train_shards),
        val=_matches("--val-shards", val_shards),
    )


def _matches(option: str, pattern: str) -> tuple[Path, ...]:
    found = tuple(Path(name) for name in sorted(glob(pattern)))  # noqa: PTH207 - absolute patterns, too
    if not found:
        raise ConfigError(f"{option}: expected at least one file, got none for {pattern}")
    return found
