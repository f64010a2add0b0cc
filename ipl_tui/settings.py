"""Settings remembered from one run to the next: the interface chosen last, and the theme; and where the keymap is."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from platformdirs import user_config_path, user_state_path

Setting = Literal["interface", "theme"]

LONGEST = 200
"""Characters of a setting; a file with more in it is not ours."""


def keymap_path() -> Path:
    """Where the user's own keys are, a TOML file; there may be none."""
    return user_config_path("ipl-tui") / "keymap.toml"


def remember(what: Setting, text: str) -> None:
    """Keep a setting, one line, for the next run; where nothing can be written, nothing is remembered."""
    path = _place(what)
    if not path.is_absolute():  # nobody knows where home is
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(f"{text}\n"))


def remembered(what: Setting) -> str:
    """What the last remember() kept, or nothing."""
    try:
        with _place(what).open("rb") as file:
            text = os.fsdecode(file.read(4 * LONGEST)).removesuffix("\n")
    except OSError:
        return ""
    return text if len(text) <= LONGEST and not {"\0", "\n"} & set(text) else ""


def _place(what: Setting) -> Path:
    return user_state_path("ipl-tui") / what
