"""The `seedgolf` command: mounts the commands of the four packages lazily.

It knows the names and one-line helps of the commands, never their code: `seedgolf inspect` must start without torch.
"""

from importlib import import_module
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """Where a command lives (`package.module:attribute`) and its line in the overview."""

    target: str
    help: str


COMMANDS = {
    "data": Entry("trainer.data_cli:data", "Make, fetch and look at training and validation shards."),
    "train": Entry("trainer.cli:train", "Train inside a wall-clock budget and pack an artifact."),
    "plot": Entry("trainer.cli:plot", "Draw loss and val_bpb of several runs."),
    "inspect": Entry("artifact.cli:inspect", "Show an artifact: manifest, tensors, where the bytes went."),
    "diff": Entry("artifact.cli:diff", "Say what differs between two artifacts."),
    "verify": Entry("verifier.cli:verify", "Judge an artifact: limits, backbone, probes, val_bpb; a report."),
    "valset": Entry("verifier.valset_cli:valset", "Register and look at validation sets."),
    "compare": Entry("verifier.compare_cli:compare_command", "Is one design better than another, over several seeds?"),
    "reproduce": Entry(
        "trainer.reproduce_cli:reproduce_command", "Retrain an artifact from its own recipe and compare."
    ),
    "report": Entry("verifier.signing_cli:report", "Sign reports, and check signed ones offline."),
    "key": Entry("verifier.signing_cli:key", "Make a signing key."),
    "unpack": Entry("artifact.cli:unpack", "Write an artifact's tensors and manifest into a folder."),
}


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from `COMMANDS` alone, so that help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="seedgolf", prog_name="seedgolf")
def main() -> None:
    """Pack, verify and submit parameter-golf models whose frozen weights come from a seed."""


if __name__ == "__main__":
    main(prog_name="seedgolf")
