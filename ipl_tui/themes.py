"""The lab's own themes: dark, light, and one of high contrast for projectors.

All text has a contrast of at least 4.5:1 to what is behind it, 7:1 in the last (WCAG 2.2, §1.4.3 and §1.4.6).
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="ipl-dark",
    primary="#6cb6ff",
    secondary="#8db4e2",
    accent="#f6a55c",
    success="#7ee09a",
    warning="#f2cc60",
    error="#ff9a92",
    foreground="#e6edf3",
    background="#0d1117",
    surface="#141a22",
    panel="#1d2631",
    dark=True,
    variables={
        "text-muted": "#a8b5c4",
        "text-disabled": "#8d9bab",
        "text-error": "#ff9a92",
        "text-warning": "#f2cc60",
        "text-accent": "#f6a55c",
        "error-muted": "#4d1f23",
        "accent-muted": "#4a3420",
        "block-cursor-background": "#6cb6ff",
        "block-cursor-foreground": "#0d1117",
        "footer-key-foreground": "#f6a55c",
    },
)

LIGHT = Theme(
    name="ipl-light",
    primary="#0b5cad",
    secondary="#33567d",
    accent="#8f3f00",
    success="#11602a",
    warning="#7a4d00",
    error="#b0161c",
    foreground="#1b2026",
    background="#ffffff",
    surface="#f6f8fa",
    panel="#e7ecf1",
    dark=False,
    variables={
        "text-muted": "#4a5664",
        "text-disabled": "#5c6875",
        "text-error": "#b0161c",
        "text-warning": "#7a4d00",
        "text-accent": "#8f3f00",
        "error-muted": "#fbdcdc",
        "accent-muted": "#f6e2d0",
        "block-cursor-background": "#0b5cad",
        "block-cursor-foreground": "#ffffff",
        "footer-key-foreground": "#8f3f00",
    },
)

CONTRAST = Theme(
    name="ipl-contrast",
    primary="#00e5ff",
    secondary="#00e5ff",
    accent="#ffd500",
    success="#5dff7a",
    warning="#ffd500",
    error="#ffb0a8",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables={
        "text-muted": "#e0e0e0",
        "text-disabled": "#c8c8c8",
        "text-error": "#ffb0a8",
        "text-warning": "#ffd500",
        "text-accent": "#ffd500",
        "error-muted": "#330000",
        "accent-muted": "#333300",
        "block-cursor-background": "#ffffff",
        "block-cursor-foreground": "#000000",
        "input-selection-background": "#005f66",
        "footer-key-foreground": "#ffd500",
    },
)

THEMES: tuple[Theme, ...] = (DARK, LIGHT, CONTRAST)
"""The first is the one the lab begins with."""
