"""The badge of a job: a small SVG with the verdict and val_bpb, for a README."""

from html import escape
from typing import Final

from api.states import State

NAME: Final = "seedgolf"
CHARACTER: Final = 6.6
"""Pixels of an average character at 11 pixels; `textLength` makes a text exactly as wide as it is counted."""
PADDING: Final = 12
COLOURS: Final = {
    State.ACCEPTED: "#1a7f37",
    State.REJECTED: "#c62828",
    State.FAILED: "#c62828",
    State.QUEUED: "#8a5a00",
    State.RUNNING: "#8a5a00",
}
QUIET: Final = "#5c6470"


def badge(state: str, val_bpb: float | None) -> bytes:
    """The picture of a state; any other word, such as `unknown`, is shown in grey.

    Args:
        state: of the job.
        val_bpb: shown instead of the word where the job was accepted.
    """
    accepted = state == State.ACCEPTED and val_bpb is not None
    text = f"{val_bpb:.4f} val_bpb" if accepted else state
    colour = next((colour for known, colour in COLOURS.items() if known == state), QUIET)
    left, right = _width(NAME), _width(text)
    title = escape(f"{NAME}: {state}, {text}" if accepted else f"{NAME}: {state}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="20" fill="#444c56"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{_text(NAME, 0)}{_text(text, left)}</g></svg>\n"
    ).encode()


def _width(text: str) -> int:
    return round(len(text) * CHARACTER) + PADDING


def _text(text: str, x: int) -> str:
    length = _width(text) - PADDING
    return f'<text x="{x + PADDING // 2}" y="14" textLength="{length}">{escape(text)}</text>'
