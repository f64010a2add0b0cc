"""The sandbox's helper process (helper.py), seen from this program: started, asked for sockets, and ended."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Any

from ipl_tui.networks.topology import Host, Link

ENDED = "The sandbox has ended: its helper process is gone. Choose it again (F2) for a new one."

_HELPER = Path(__file__).with_name("helper.py")
_LONGEST_MESSAGE = 1 << 16  # bytes
_LONGEST_ANSWER = 5.0  # seconds; it takes a few ms, so that one that takes longer will never come

_SWITCHES = {
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}
"""Settings below /proc/sys that forbid ordinary users to make namespaces, and the value that does."""


class SandboxError(Exception):
    """There is no sandbox, or no longer; the message is one sentence for the user."""


class HelperProcess:
    """The helper process with its sandbox. Methods may be called from any thread."""

    def __init__(self, hosts: Sequence[Host], links: Sequence[Link], reassembly_timeout: float | None) -> None:
        """Start it, and wait for the sandbox: some tens of ms. reassembly_timeout in seconds (None: as Linux has it).
        Raises SandboxError."""
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_LONGEST_ANSWER)
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_HELPER)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl+C in the terminal is not for it
                )
        except OSError as error:
            self._control.close()
            raise SandboxError(f"The sandbox's helper process did not start: {error}.") from error
        assert self._process.stdout is not None
        # Nothing is ever written to its standard output: that it is readable says that the process has ended.
        self._lifeline = self._process.stdout
        try:
            self._ask(_message(hosts, links, reassembly_timeout))
        except OSError as error:
            self.close()
            raise SandboxError(_why_forbidden(error)) from error
        except SandboxError as error:
            self.close()
            status = self._process.returncode
            raise SandboxError(f"The sandbox's helper process ended at once, with status {status}.") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lifeline(self) -> int:
        """A descriptor that becomes readable when the process has ended."""
        return self._lifeline.fileno()

    @property
    def running(self) -> bool:
        return not select([self._lifeline], [], [], 0)[0]

    def open(self, do: str, **arguments: str | int) -> socket.socket:
        """A socket that the helper opens. Raises OSError as opening it does, and SandboxError."""
        _, descriptors = self._ask({"do": do, **arguments})
        if not descriptors:  # the kernel hands over no socket to a process with all descriptors in use
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return socket.socket(fileno=descriptors[0])

    def namespace(self, host: str) -> str:
        """The path of a host's network namespace, there as long as the process. Raises SandboxError."""
        answer, _ = self._ask({"do": "namespace", "host": host})
        return str(answer["path"])

    def set_mtu(self, link: Link) -> None:
        """Set the MTU of a link. Raises OSError and SandboxError."""
        self._ask({"do": "set_mtu", "ends": link.ends, "mtu": link.mtu})

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        try:
            with self._lock:
                self._control.send(json.dumps(request).encode())
                message, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST_MESSAGE, 1)
        except OSError as error:
            self._process.kill()  # a late answer would be taken for that to the next request
            raise SandboxError(ENDED) from error
        if not message:
            raise SandboxError(ENDED)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # no other process is to keep a namespace alive
        answer = json.loads(message)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]), answer["what"])
        return answer, descriptors

    def close(self) -> None:
        """End the process, and with it all that no socket in use holds; twice is fine."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # it wakes a thread that waits for an answer; close() does not
        with self._lock:
            self._control.close()
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._lifeline.close()


def _message(hosts: Sequence[Host], links: Sequence[Link], reassembly_timeout: float | None) -> dict[str, Any]:
    """Message to the helper about what to make, in the form that it reads."""
    return {
        "hosts": [
            {
                "name": host.name,
                "ports": [
                    {
                        "name": port.name,
                        "address": str(port.address.ip),
                        "prefix_length": port.address.network.prefixlen,
                        "hardware_address": port.hardware_address.hex(),
                    }
                    for port in host.ports
                ],
                "gateway": str(host.gateway or ""),
                "forwards": host.forwards,
            }
            for host in hosts
        ],
        "links": [{"ends": link.ends, "mtu": link.mtu} for link in links],
        # Linux counts whole seconds.
        "reassembly_timeout": None if reassembly_timeout is None else max(1, round(reassembly_timeout)),
    }


def _why_forbidden(error: OSError) -> str:
    """Reason why this system made no sandbox, and what to do."""
    what = f"{error.filename}: {error.strerror}"
    match error.errno:
        case errno.ENOSPC:
            remedy = "sudo sysctl user.max_user_namespaces=15000 user.max_net_namespaces=15000"
            return f"This system allows no more namespaces, which the sandbox needs: {remedy}."
        case errno.EPERM | errno.EACCES:
            for path, forbids in _SWITCHES.items():
                if _read_setting(path) == forbids:
                    permits = "0" if forbids == "1" else "1"
                    remedy = f"sudo sysctl {path.replace('/', '.')}={permits}"
                    return f"This system lets no ordinary user make namespaces, which the sandbox needs: {remedy}."
            return (
                f"A container or a security policy forbids the sandbox its namespaces ({what}): run outside of it, or "
                "start the container with --privileged."
            )
        case errno.EROFS:
            return (
                f"In this container the sandbox cannot set up its hosts ({what}): run outside of it, or start the "
                "container with --privileged."
            )
        case errno.EOPNOTSUPP:
            return f"This kernel has no veth, which the sandbox needs ({what}): sudo modprobe veth."
        case errno.EINVAL | errno.ENOSYS if error.filename == "unshare":
            return "This kernel is built without user or network namespaces, which the sandbox needs."
    return f"The sandbox could not be made ({what}): use the simulated network."


def _read_setting(path: str) -> str:
    """A setting below /proc/sys; nothing if this kernel does not have it."""
    try:
        return Path("/proc/sys", path).read_text().strip()
    except OSError:
        return ""
