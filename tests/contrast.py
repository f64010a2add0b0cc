"""Contrast of the text on an app's screen to what is behind it (WCAG 2.2, §1.4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.color_triplet import ColorTriplet
from textual.app import App

LINES = range(0x2500, 0x25A0)
"""Box drawing and blocks: lines and bars are no text."""


class Shown(NamedTuple):
    """A text on the screen, and its contrast: 1 (none) to 21 (black on white)."""

    text: str
    contrast: float
    row: int


def contrasts(app: App[Any]) -> Iterator[Shown]:
    """Every text that is drawn; of what lies behind a dialog, and is shaded for that, nothing."""
    screen = app.screen
    dialogs = [each.region for each in screen.query(".dialog")]
    box = dialogs[0] if screen.is_modal and dialogs else screen.region
    # The compositor is private, as in tests/screen.py.
    for row, strip in enumerate(screen._compositor.render_strips()):
        if not box.y <= row < box.bottom:
            continue
        for text, style, control in strip.crop(box.x, box.right):
            words = "".join(each for each in text if ord(each) not in LINES).strip()
            if control or not words:
                continue
            assert style is not None and style.color is not None and style.bgcolor is not None, f"no colours: {text!r}"
            assert not style.dim, f"dim is what the terminal makes of it: {text!r}"
            yield Shown(words, contrast(style.color.get_truecolor(), style.bgcolor.get_truecolor()), row)


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """Contrast ratio of two colours."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: ColorTriplet) -> float:
    """Relative luminance of an sRGB colour, 0 to 1."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
