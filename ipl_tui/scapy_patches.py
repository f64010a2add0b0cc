"""Patches of Scapy, made as it is loaded, whoever loads it, and when: the first screen does not wait for Scapy.

Scapy 2.8.0 ends with a traceback, as soon as it is imported, where a cache can't be entered and where this machine has
an interface whose name is not UTF-8; neither has a setting. tests/test_scapy_patches.py fails when that changes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

IFLA_IFNAME = 3  # linux/if_link.h


class Name(bytes):
    """An interface's name as the kernel gives it, which Scapy decodes: any bytes become text, as in Python's os."""

    def __getitem__(self, at: Any) -> Any:
        piece = super().__getitem__(at)
        return Name(piece) if isinstance(piece, bytes) else piece

    def decode(self, *_: object, **__: object) -> str:
        return os.fsdecode(bytes(self))


def keep_names(rtnetlink: ModuleType) -> None:
    """Let every interface have a name, by the method of packets that Scapy calls once they are dissected."""

    def post_dissection(attribute: Any, packet: object) -> None:
        if attribute.rta_type == IFLA_IFNAME:
            attribute.rta_data = Name(attribute.rta_data)

    rtnetlink.ifinfomsg_rtattr.post_dissection = post_dissection


def leave_closed_cache(main: ModuleType) -> None:
    """Do without a cache that can't be used; nor is one by the working folder, which is another each time."""
    folder = main.__dict__.get("SCAPY_CACHE_FOLDER")
    if folder is not None and not _usable(folder):
        main.__dict__["SCAPY_CACHE_FOLDER"] = None  # its word for no cache


def _usable(folder: Path) -> bool:
    if not Path(os.environ.get("XDG_CACHE_HOME", "/")).is_absolute():
        return False
    try:
        there = folder.exists()
    except OSError:
        return False
    return not there or os.access(folder, os.R_OK | os.W_OK | os.X_OK)


MENDED: dict[str, Callable[[ModuleType], None]] = {
    "scapy.arch.linux.rtnetlink": keep_names,
    "scapy.main": leave_closed_cache,
}


class _Loader:
    """The loader that a module has, and what is done after it."""

    def __init__(self, loader: Any, mend: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._mend = mend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._mend(module)


class _Finder:
    """Finds the modules that are mended where all others are found."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mend = MENDED.get(name)
        spec = PathFinder.find_spec(name, path, target) if mend else None
        if spec is not None and mend is not None:
            spec.loader = _Loader(spec.loader, mend)  # type: ignore[assignment]  # it does what a loader does
        return spec


def mend_scapy() -> None:
    """Have it mended when it is loaded. Once is enough."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
