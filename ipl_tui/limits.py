"""Limit of the files that a program may have open: sockets and pipes count too."""

from __future__ import annotations

import sys
from contextlib import suppress

FEWEST_FILES = 64
"""With fewer, something or other would not open: the lab has up to 40."""

ENOUGH_FILES = 1024
"""More would be of no use but to a server with a connection for each client; and select() takes no more."""


def allow_files(most: int) -> int | None:
    """Allow up to so many, as far as the hard limit lets an ordinary user; how many may be open now, None if there is
    no limit that is known."""
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def too_few_files() -> str:
    """Reason why this program can't run, a sentence; empty if enough files may be open."""
    allowed = allow_files(ENOUGH_FILES)
    if allowed is None or allowed >= FEWEST_FILES:
        return ""
    return f"A program may have {allowed} files open here, and this one needs {FEWEST_FILES}: ulimit -n {FEWEST_FILES}."
