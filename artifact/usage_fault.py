"""How a command ends when it is wrong, or a file that it was given."""

from typing import Final

import click

USAGE: Final = 2


class UsageFault(click.ClickException):
    """The command, or a file that it names, is wrong: one line, and exit code 2."""

    exit_code = USAGE
