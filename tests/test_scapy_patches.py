"""Scapy as it is loaded: whatever this machine's interfaces are called, and whatever the user's folders are like."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipl_tui.scapy_patches import MENDED
from tests.conftest import WITHOUT_RIGHTS

SOMEBODY_ELSE = 54321

COMMAND = ("client", "-i", "simulated:client")
CODE = f"{WITHOUT_RIGHTS}from ipl_tui.cli import main; main({COMMAND})"


def closed_cache(home: Path) -> dict[str, str]:
    (home / ".cache").mkdir(mode=0o700)
    os.chown(home / ".cache", SOMEBODY_ELSE, SOMEBODY_ELSE)
    return {}


def closed_home(home: Path) -> dict[str, str]:
    home.chmod(0o700)
    os.chown(home, SOMEBODY_ELSE, SOMEBODY_ELSE)
    return {"XDG_STATE_HOME": str(home / ".local" / "state")}


def roots_pickles(home: Path) -> dict[str, str]:
    cache = home / ".cache" / "scapy"
    cache.mkdir(parents=True)
    for name in ("ethertypes", "protocols", "services", "manufdb"):
        (cache / f"{name}.pickle").touch(mode=0o600)
        os.chown(cache / f"{name}.pickle", SOMEBODY_ELSE, SOMEBODY_ELSE)
    os.chown(cache, SOMEBODY_ELSE, SOMEBODY_ELSE)
    return {}


Prepare = Callable[[Path], dict[str, str]]
"""Makes a home; what else is in the environment."""

HOMES: dict[str, Prepare] = {
    "a closed cache": closed_cache,
    "a closed home": closed_home,
    "a cache of root's": roots_pickles,
    "no home": lambda home: {"HOME": ""},
    "a cache by the working folder": lambda home: {"XDG_CACHE_HOME": ""},
    "a closed folder for caches": lambda home: closed_cache(home) | {"XDG_CACHE_HOME": f"{home}/.cache/mine"},
    "a closed folder for settings": lambda home: (
        closed_cache(home) | {"XDG_CONFIG_HOME": str(home / ".cache" / "mine")}
    ),
}


@pytest.mark.parametrize("prepare", HOMES.values(), ids=HOMES.keys())
def test_folders_of_any_kind_end_nothing(prepare: Prepare, tmp_path: Path, needs_root: None) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])} | prepare(home)
    if not environment["HOME"]:
        del environment["HOME"]
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, cwd=here, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ServerResponse" in done.stdout
    assert list(here.iterdir()) == []


def test_a_users_own_scapy_settings_are_not_run(tmp_path: Path) -> None:
    """They are for Scapy's shell."""
    folder = tmp_path / ".config" / "scapy"
    folder.mkdir(parents=True)
    for name in ("prestart.py", "startup.py"):
        (folder / name).write_text("print('run')")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    command = [sys.executable, "-m", "ipl_tui", *COMMAND]
    done = subprocess.run(command, env=environment | {"HOME": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0
    assert "run" not in done.stdout


def test_what_is_mended_is_there() -> None:
    """A Scapy without these modules, or with others in their place, would be mended no more."""
    import scapy.arch
    import scapy.main

    assert "SCAPY_CACHE_FOLDER" in vars(scapy.main)
    for name in MENDED if sys.platform == "linux" else ():
        assert type(sys.modules[name].__loader__).__module__ == "ipl_tui.scapy_patches"
