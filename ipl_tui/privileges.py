"""Privileges: started with sudo, the app keeps the right to open raw sockets and is the invoking user otherwise."""

from __future__ import annotations

import os
import re
import struct
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from shlex import quote

if sys.platform != "win32":
    import pwd

CAP_NET_RAW = 13  # linux/capability.h
COMMON_NAMES = {1: "CAP_DAC_OVERRIDE", 12: "CAP_NET_ADMIN", CAP_NET_RAW: "CAP_NET_RAW", 21: "CAP_SYS_ADMIN"}

_PR_SET_KEEPCAPS = 8  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522

_NEEDED = ("asyncio", "scapy", "textual", "ipl_tui.app")
"""Modules of each place that Python loads from: its own library, the packages, and the app."""

_kept_from_sudo = False


class PrivilegesError(Exception):
    """Root could not be given up. Its message is one sentence for the user."""


@dataclass(frozen=True)
class Privileges:
    """Privileges of a thread of the app."""

    uid: int | None
    """The effective user; None where the system has no such numbers."""

    user: str
    """Its name, or the number again if it has none."""

    capabilities: frozenset[str]
    """Those in effect (capabilities(7)), none where the system isn't Linux; rare ones as CAP_40."""

    kept_from_sudo: bool
    """True if the app was started with sudo, and has given the rest up."""

    def __str__(self) -> str:
        if self.kept_from_sudo:
            return f"{self.user}, with {' and '.join(sorted(self.capabilities)) or 'no capability'} kept from sudo"
        if self.uid == 0 or not self.capabilities:
            return self.user
        return f"{self.user}, with {' and '.join(sorted(self.capabilities))}"


def current() -> Privileges:
    """Privileges of the calling thread now."""
    uid = os.geteuid() if hasattr(os, "geteuid") else None
    return Privileges(uid, _name_of(uid), _capabilities("CapEff"), _kept_from_sudo)


def give_up_root() -> None:
    """Become the user who called sudo, where sudo started the app on Linux, and keep CAP_NET_RAW alone.

    Before other threads start, for those would keep nothing. Elsewhere, and where nobody but root called sudo or sudo
    was not called, nothing happens. Raises PrivilegesError; the app must not go on then.
    """
    global _kept_from_sudo
    if sys.platform != "linux" or os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        return
    uid, gid = _number("SUDO_UID"), _number("SUDO_GID")
    if uid == 0:
        return
    needed = [(os.path.realpath(sys.executable), os.X_OK)]
    needed += [(spec.origin, os.R_OK) for name in _NEEDED if (spec := find_spec(name)) and spec.origin]
    try:
        _hand_over(uid, gid)
        _become(uid, gid)
    except OSError as error:
        raise PrivilegesError(f"sudo's rights could not be given up, so nothing was started: {error}.") from error
    _kept_from_sudo = True
    _take_home(uid)
    for path, access in needed:
        if not os.access(path, access):
            raise PrivilegesError(_why_unreadable(path, _name_of(uid)))


def _number(name: str) -> int:
    """A user's or group's number from sudo.

    Sudo writes nothing but such numbers: with anything else, somebody else meddled. To stay root then would be to run
    everything as root by mistake, and 4294967295, which setresuid(2) takes for "as it is", would do that unnoticed.
    """
    value = os.environ.get(name, "")
    if not re.fullmatch("[0-9]{1,10}", value) or int(value) >= 2**32 - 1:
        raise PrivilegesError(f"{name} is {value!a}, which sudo never says: to stay root, unset SUDO_UID.")
    return int(value)


def _hand_over(uid: int, gid: int) -> None:
    """Give the user what Python has compiled until now, as root, beside sources of the user's own.

    Otherwise it could not remove its own environment. Who owns the sources has been root by running them.
    Raises OSError.
    """
    for module in list(sys.modules.values()):
        spec = getattr(module, "__spec__", None)
        if spec is None or not spec.cached or not os.path.isfile(spec.cached) or os.stat(spec.origin).st_uid != uid:
            continue
        for path in (spec.cached, os.path.dirname(spec.cached)):
            if os.lstat(path).st_uid == 0:
                os.lchown(path, uid, gid)


def _become(uid: int, gid: int) -> None:
    """Change the process's identity for good. Raises OSError.

    By ctypes, for no library is kept up: python-prctl (2020) has no wheels and is built with libcap's headers, pyprctl
    is of 2021.
    The bounding set stays, and no_new_privs is not set: Wireshark's dumpcap, started from here, is to get the
    capabilities of its file. No program started from here inherits ours: inheritable and ambient sets are empty. The
    kernel makes such a process undumpable, so that none of the user's can read its memory; that stays too.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")

    kept = 1 << CAP_NET_RAW if "CAP_NET_RAW" in _capabilities("CapPrm") else 0  # a container's root may have none
    try:
        os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # no such entry
        os.setgroups([gid])
    call("prctl", _PR_SET_KEEPCAPS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    call("capset", header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))  # effective, permitted, inheritable, twice 32


def _take_home(uid: int) -> None:
    """Make the environment the user's: ~, and where files of the app are kept."""
    roots = (f"{pwd.getpwuid(0).pw_dir}/", "/run/user/0/")
    for name, value in list(os.environ.items()):
        if name.startswith("XDG_") and f"{value}/".startswith(roots):
            del os.environ[name]
    os.environ["USER"] = os.environ["LOGNAME"] = _name_of(uid)
    try:
        os.environ["HOME"] = pwd.getpwuid(uid).pw_dir
    except KeyError:
        os.environ["HOME"] = "/"  # without one, ~ would be a folder of that name


def _why_unreadable(path: str, user: str) -> str:
    """Root's Python or packages, which root alone can read, run no app of a user's; and what to do."""
    problem = f"{user} can't read {path}, which sudo made the app from"
    if not os.path.exists(os.path.join(os.path.dirname(sys.prefix), "pyproject.toml")):
        return f"{problem}: install ipl-tui as {user}, and start that with sudo."
    program = os.path.join(sys.prefix, "bin", "ipl-tui")
    remedy = f"sudo rm -r {quote(sys.prefix)} && python3 -m uv sync && sudo {quote(program)}"
    return f"{problem}: in {os.path.dirname(sys.prefix)}, as {user}, run {remedy}"


def _name_of(uid: int | None) -> str:
    if uid is None:
        return os.environ.get("USERNAME", "")
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _capabilities(which: str) -> frozenset[str]:
    """A set of the calling thread's capabilities, by its name in /proc/thread-self/status."""
    if sys.platform != "linux":
        return frozenset()
    with open("/proc/thread-self/status") as status:
        mask = next(int(line.split()[1], 16) for line in status if line.startswith(f"{which}:"))
    return frozenset(COMMON_NAMES.get(bit, f"CAP_{bit}") for bit in range(mask.bit_length()) if mask >> bit & 1)
