"""How long work says how far it is: one call signature, so that any bar, log or test can listen."""

from typing import Protocol


class Progress(Protocol):
    """Called now and then with the units done and the units in all; the owner of the work says which unit."""

    def __call__(self, done: int, total: int, /) -> None:
        """Note that `done` of `total` units are finished."""


def silent(done: int, total: int, /) -> None:
    """The listener that does nothing: the default everywhere."""
