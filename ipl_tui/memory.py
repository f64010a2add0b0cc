"""What is remembered from one run to the next: the interface chosen last."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

LONGEST = 200
"""Characters of an interface's name; a file with more in it is not ours."""


def remember_interface(name: str) -> None:
    """Keep an interface's full name for the next run; where nothing can be written, nothing is remembered."""
    with suppress(OSError):
        path = _place()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


def remembered_interface() -> str:
    """The name kept by the last remember_interface(), or nothing."""
    try:
        name = _place().read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return name if len(name) <= LONGEST else ""


def _place() -> Path:
    return user_state_path("ipl-tui") / "interface"
