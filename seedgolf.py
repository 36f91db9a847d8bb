"""The `seedgolf` command: mounts the commands of the four packages lazily.

It knows the names and one-line helps of the commands, never their code: `seedgolf inspect` must start without torch.
"""

import signal
import sys
from errno import EDQUOT, EFBIG, ENOSPC
from importlib import import_module
from typing import Any, Final, NamedTuple

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
UNWRITABLE: Final = frozenset({EDQUOT, EFBIG, ENOSPC})


class Entry(NamedTuple):
    """Where a command lives (`package.module:attribute`) and its line in the overview."""

    target: str
    help: str


SECTIONS: Final[dict[str, dict[str, Entry]]] = {
    "Make an artifact": {
        "data": Entry("trainer.data_cli:data", "Make, fetch and look at training and validation shards."),
        "train": Entry("trainer.cli:train", "Train inside a wall-clock budget and pack an artifact."),
        "plot": Entry("trainer.cli:plot", "Draw loss and val_bpb of several runs."),
    },
    "Look into it": {
        "inspect": Entry("artifact.cli:inspect", "Show an artifact: manifest, tensors, where the bytes went."),
        "diff": Entry("artifact.cli:diff", "Say what differs between two artifacts."),
        "unpack": Entry("artifact.cli:unpack", "Write an artifact's tensors and manifest into a folder."),
    },
    "Judge it": {
        "verify": Entry("verifier.cli:verify", "Judge an artifact: limits, backbone, probes, val_bpb; a report."),
        "valset": Entry("verifier.valset_cli:valset", "Register and look at validation sets."),
        "compare": Entry(
            "verifier.compare_cli:compare_command", "Is one design better than another, over several seeds?"
        ),
        "reproduce": Entry(
            "trainer.reproduce_cli:reproduce_command", "Retrain an artifact from its own recipe and compare."
        ),
        "report": Entry("verifier.signing_cli:report", "Sign reports, and check signed ones offline."),
        "key": Entry("verifier.signing_cli:key", "Make a signing key."),
    },
    "Submit it, or run a server": {
        "submit": Entry("api.submit_cli:submit", "Send an artifact to a server, wait for its verdict."),
        "serve": Entry("api.cli:serve", "Run a verification server: database, API and workers."),
        "worker": Entry("api.cli:worker", "Add a worker to a server, one per GPU."),
        "token": Entry("api.token_cli:token", "Make, list and revoke access tokens."),
        "rotate-key": Entry("api.key_cli:rotate_key", "Replace the key that a server's workers sign with."),
        "retire-key": Entry("api.key_cli:retire_key", "Take a signing key of a server out of use."),
        "db": Entry("api.db_cli:db", "Upgrade, dump and restore a server's database."),
    },
    "This command": {
        "completion": Entry("seedgolf:completion", "Print the completion script for your shell."),
    },
}
COMMANDS: Final = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that lists every command and imports only the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the path a user walks."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command `cmd_name`, or None when there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute = entry.target.split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), entry.target
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's
        """Run as a program; an output that takes no more ends it in one line, and not with 1, which is an answer."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            from artifact.usage_fault import UsageFault, drop_output  # noqa: PLC0415 - help imports nothing

            drop_output()
            fault = UsageFault(f"can't write {error.filename or 'the output'}: {error.strerror}")
            fault.show()
            sys.exit(fault.exit_code)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        """Run the command; ctrl-C ends it as a shell expects, and not with click's 1, which would be a verdict."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nstopped by ctrl-C", err=True)
            ctx.exit(128 + signal.SIGINT)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from `SECTIONS` alone, so that help imports nothing."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<10}", entry.help) for name, entry in entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from `COMMANDS` alone: a press of the tab key imports nothing."""
        items = [CompletionItem(n, help=entry.help) for n, entry in COMMANDS.items() if n.startswith(incomplete)]
        return items or click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: seedgolf train --preset demo --out runs/demo && seedgolf verify runs/demo/artifact.sgolf",
)
@click.version_option(package_name="seedgolf", prog_name="seedgolf")
def main() -> None:
    """Pack, verify and submit parameter-golf models whose frozen weights come from a seed."""


@click.command(epilog='Example: eval "$(seedgolf completion bash)"   (in ~/.bashrc)')
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that teaches SHELL to complete seedgolf's commands and options."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "seedgolf", "_SEEDGOLF_COMPLETE").source())


if __name__ == "__main__":
    main(prog_name="seedgolf")
