"""How a command ends when it is wrong, or a file that it was given."""

import os
import sys
from typing import Final

import click

USAGE: Final = 2


class UsageFault(click.ClickException):
    """The command, or a file that it names, is wrong: one line, and exit code 2."""

    exit_code = USAGE


def drop_output() -> None:
    """Point standard output, which takes no more, at nothing: else the interpreter's own last flush fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
