"""Fixtures for every area's tests: network namespaces with real kernels in them, and the sandbox."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import psutil
import pytest
from hypothesis import settings

from ipl_tui.networks.sandbox import SandboxNetwork

# How long a test takes says nothing about what it tests: machines are busy.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

CLONE_NEWNET = 0x40000000

WITHOUT_RIGHTS = "import ctypes, struct; ctypes.CDLL(None).capset(struct.pack('=Ii', 0x20080522, 0), bytes(24))\n"
"""A line of Python after which root may open no raw socket, as an ordinary user may not. It stays root by name: who
became another user could no longer read this Python or this folder, where those are for root alone."""

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_IP, ETH_P_ALL = 0x0800, 3


NOT_UTF8, STEERING = os.fsdecode(b"x\xff\xfey"), "\x1b[31mE\x1b[2J"
"""Names that Linux allows."""


Children = Callable[[], list[psutil.Process]]


def pytest_xdist_auto_num_workers() -> int:
    """Two workers a core: most of the time a test waits, for packets, screens and clocks."""
    return 2 * (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


def run_ip(*arguments: str) -> str:
    """Run ip(8); what it prints. Fails the test with its words if it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def go_without(reason: str) -> NoReturn:
    """Skip a test for which something is missing here; CI must not skip, there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}: CI must not skip")
    pytest.skip(reason)


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for a condition that another thread or the kernel brings about. Fails the test if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        os.sched_yield()


def _enter(descriptor: int) -> None:
    # os.setns() is there only from Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """The calling thread, and threads it starts, in a network namespace; afterwards it is back where it was."""
    with ExitStack() as leaving:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        leaving.callback(os.close, home)
        there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        leaving.callback(os.close, there)
        _enter(there)
        leaving.callback(_enter, home)
        yield


@dataclass(frozen=True)
class Host:
    """One end of a cable: a network namespace with one interface."""

    namespace: str
    interface: str
    address: str


@dataclass(frozen=True)
class Pair:
    """Two hosts and the cable between them."""

    client: Host
    server: Host


def _is_up(host: Host) -> bool:
    return "state UP" in run_ip("-n", host.namespace, "link", "show", host.interface)


class Wire:
    """The IPv4 packets that pass an interface, as its tap sees them: on veth in both directions, on lo once."""

    def __init__(self, namespace: str, interface: str) -> None:
        with inside(namespace):
            self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        self._tap.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(interface == "lo"))
        self._tap.bind((interface, ETH_P_ALL))
        self._tap.settimeout(5)
        self.packets: list[bytes] = []
        """What wait_for() has read so far."""

    def wait_for(self, wanted: Callable[[bytes], bool]) -> bytes:
        """Read packets up to one that is wanted. Raises TimeoutError after five seconds without any."""
        while True:
            packet, (_, ethertype, *_) = self._tap.recvfrom(65535)
            if ethertype == ETH_P_IP:
                self.packets.append(packet)
                if wanted(packet):
                    return packet

    def close(self) -> None:
        self._tap.close()


@pytest.fixture(scope="session", autouse=True)
def children_hear_signals() -> None:
    """Signals that were ignored where the tests started, as SIGINT is in the background of a shell, end the programs
    that the tests start all the same: those inherit what is ignored, but not a function that does nothing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


@pytest.fixture(scope="session", autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is remembered from before the tests, and nothing is left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SUDO_UID", raising=False)  # under sudo, what is tested would give up root
        for size in ("COLUMNS", "LINES"):  # readline, where it is loaded, sets them, and programs trust them
            patch.delenv(size, raising=False)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="class")
def children() -> Children:
    """The processes that this one has started since the test, or its class, began, and has not waited for."""
    before = psutil.Process().children()
    return lambda: [process for process in psutil.Process().children() if process not in before]


@pytest.fixture(scope="session")
def needs_root() -> None:
    """Skips where packets and namespaces are not permitted; in CI it fails instead."""
    reason = "needs root" if os.geteuid() != 0 else "needs ip(8)" if not shutil.which("ip") else ""
    if reason:
        go_without(reason)


@contextmanager
def cable(client: Host, server: Host) -> Iterator[Pair]:
    """Two hosts on one cable (veth), without IPv6; both are gone afterwards, whatever happens."""
    with ExitStack() as leaving:
        for host in (client, server):
            run_ip("netns", "add", host.namespace)
            leaving.callback(run_ip, "netns", "delete", host.namespace)
            with inside(host.namespace):
                for scope in ("all", "default"):
                    with open(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "w") as switch:
                        switch.write("1")
        ends = ("type", "veth", "peer", "name", server.interface, "netns", server.namespace)
        run_ip("-n", client.namespace, "link", "add", client.interface, *ends)
        for host in (client, server):
            run_ip("-n", host.namespace, "link", "set", "lo", "up")
            run_ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", host.interface)
            run_ip("-n", host.namespace, "link", "set", host.interface, "up")
        for host in (client, server):  # the kernel says so a moment after the other end came up
            wait_until(partial(_is_up, host))
        yield Pair(client, server)


@pytest.fixture
def veth(needs_root: None) -> Iterator[Pair]:
    """A client and a server in namespaces of their own: c0 10.0.1.10/24 and s0 10.0.1.20/24."""
    client = Host(f"ipl-{os.getpid()}-client", "c0", "10.0.1.10")
    server = Host(f"ipl-{os.getpid()}-server", "s0", "10.0.1.20")
    with cable(client, server) as pair:
        yield pair


@pytest.fixture
def own_loopback(needs_root: None) -> Iterator[None]:
    """The test runs in a network namespace of its own, where nobody else uses the loopback interface."""
    namespace = f"ipl-{os.getpid()}-alone"
    run_ip("netns", "add", namespace)
    try:
        run_ip("-n", namespace, "link", "set", "lo", "up")
        with inside(namespace):
            yield
    finally:
        run_ip("netns", "delete", namespace)


@pytest.fixture
def odd(own_loopback: None) -> None:
    """In the namespace of the test, the two ends of a cable: NOT_UTF8 with 10.9.9.1/24, STEERING without an address."""
    run_ip("link", "add", NOT_UTF8, "type", "veth", "peer", "name", STEERING)
    run_ip("address", "add", "10.9.9.1/24", "dev", NOT_UTF8)
    for name in (NOT_UTF8, STEERING):
        run_ip("link", "set", name, "up")


@pytest.fixture(scope="session")
def needs_sandbox() -> None:
    """Skips where the system forbids the sandbox; in CI it fails instead."""
    ability = SandboxNetwork().ability()
    if not ability.possible:
        go_without(ability.reason)


@pytest.fixture
def sandbox(needs_sandbox: None) -> Iterator[SandboxNetwork]:
    """A sandbox of its own for each test."""
    with closing(SandboxNetwork()) as network:
        yield network
