"""What the server's commands share: the option for its folder, and faults as one clear line instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from api.settings import BadSetting, Settings, load
from artifact.usage_fault import UsageFault

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's folder.  [default: SEEDGOLF_DATA, or ~/.local/share/seedgolf/server]",
)


def settings_with(**changes: Any) -> Settings:  # noqa: ANN401 - checked by the settings themselves
    """The settings of the environment with the command's options over them."""
    try:
        settings = load().replaced(**changes)
    except BadSetting as error:
        raise click.UsageError(str(error)) from None
    return settings.replaced(data=settings.data.absolute())


@contextmanager
def faults_told() -> Iterator[None]:
    """Tell what is wrong with a server in one line."""
    try:
        yield
    except _known_faults() as error:  # evaluated only when something is wrong: a good start saves the imports
        from api.faults import sentence  # noqa: PLC0415 - costs 0.8 s

        raise UsageFault(sentence(error)) from None


def _known_faults() -> tuple[type[Exception], ...]:
    from api.faults import KNOWN  # noqa: PLC0415 - costs 0.8 s

    return KNOWN
