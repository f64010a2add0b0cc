"""Settings remembered from one run to the next: the interface chosen last."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

LONGEST = 200
"""Characters of an interface's name; a file with more in it is not ours."""


def remember_interface(name: str) -> None:
    """Keep an interface's full name for the next run; where nothing can be written, nothing is remembered."""
    path = _place()
    if not path.is_absolute():  # nobody knows where home is
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(f"{name}\n"))


def remembered_interface() -> str:
    """The name kept by the last remember_interface(), or nothing."""
    try:
        with _place().open("rb") as file:
            name = os.fsdecode(file.read(4 * LONGEST)).removesuffix("\n")
    except OSError:
        return ""
    return name if len(name) <= LONGEST and not {"\0", "\n"} & set(name) else ""


def _place() -> Path:
    return user_state_path("ipl-tui") / "interface"
