"""docs/cli.md: every command with its options, as click knows them."""

from collections.abc import Iterator

import click

from seedgolf import main

HEAD = """# Command line

Every command, from the code. `seedgolf COMMAND --help` says the same in the terminal. Colours are for terminals only;
`--json` prints what a program should read.

| exit code | meaning |
| --- | --- |
| 0 | done; a verdict in favour |
| 1 | done, and the answer is no: rejected, not reproduced, files differ |
| 2 | the command, or a file that it was given, is wrong; nothing was done |
| 3 | no answer, and not the file's fault |
| 130, 143 | ended by ctrl-C, by SIGTERM; nothing half-made is left behind, and `train` has packed what there was |

A running `serve` or `worker` that a signal ends gives 0: that is how it is stopped.
"""


def page() -> str:
    """The whole page."""
    root = click.Context(main, info_name="seedgolf")
    return "\n".join([HEAD, *(_section(context) for context in commands(root))])


def commands(context: click.Context) -> Iterator[click.Context]:
    """The context of every command below that of `context`, in the order of the overview."""
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}", _paragraphs(command.help), f"    {usage}"]
    if rows := list(_rows(context)):
        parts.append("\n".join(["| option | meaning |", "| --- | --- |", *rows]))
    if command.epilog:
        parts.append(_example(command.epilog))
    return "\n\n".join(parts) + "\n"


def _rows(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None and "--help" not in parameter.opts:
            names, meaning = (" ".join(text.split()) for text in record)
            yield f"| `{_cell(names)}` | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _paragraphs(text: str | None) -> str:
    kept = [part.replace("\b\n", "").strip() for part in (text or "").split("\n\n")]
    return "\n\n".join(" ".join(part.split()) for part in kept if part)


def _example(epilog: str) -> str:
    """`Example: seedgolf ...`, as every command has it."""
    words = " ".join(epilog.replace("\b\n", "").split())
    label, _, command = words.partition(": ")
    return f"{label}:\n\n    {command}"
