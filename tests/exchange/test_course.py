"""The course's two programs exchange with our engines, or it is said why they can't. The lab: tests/screens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from queue import Queue

import pytest

from ipl_tui.exchange.delayed_answers import DELAY
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.engines import RAW_ENGINES, make_client, make_server
from ipl_tui.networks.interface import Interface
from ipl_tui.networks.kernel import KernelNetwork
from tests.conftest import Pair, inside
from tests.exchange.course import CLIENT, SERVER, running
from tests.exchange.test_clients import needs_libpcap

__all__ = ["needs_libpcap"]

WAYS = ("libpcap", "sockets")
"""What their programs send and listen with: `conf.use_pcap`, on and off."""


@dataclass
class Medium:
    """Where ours and theirs meet."""

    ours: Interface
    our_address: str
    their_interface: str
    their_address: str
    namespace: str = ""
    """Theirs."""
    here: Callable[[], AbstractContextManager[None]] = nullcontext
    """Where our sockets are opened."""

    @property
    def arguments(self) -> tuple[str, str, str]:
        return self.their_interface, self.their_address, self.our_address


@pytest.fixture(params=["lo", "veth"])
def medium(request: pytest.FixtureRequest, needs_libpcap: None) -> Iterator[Medium]:
    if request.param == "lo":
        request.getfixturevalue("own_loopback")
        with closing(KernelNetwork().find("lo")) as lo:
            yield Medium(lo, "127.0.0.1", "lo", "127.0.0.1")
        return
    pair: Pair = request.getfixturevalue("veth")
    ours, theirs = pair.client, pair.server
    here = partial(inside, ours.namespace)
    with here(), closing(KernelNetwork().find(ours.interface)) as interface:
        yield Medium(interface, ours.address, theirs.interface, theirs.address, theirs.namespace, here)


def is_not_delivered(medium: Medium, way: str, engine: str) -> bool:
    """Whether by nature no raw socket gets what they send."""
    return (medium.ours.name, way, engine) == ("lo", "libpcap", "socket")


@pytest.mark.parametrize("way", WAYS)
def test_their_client_with_our_servers(medium: Medium, way: str) -> None:
    with running(CLIENT, [*medium.arguments, way], medium.namespace) as client:
        for engine in RAW_ENGINES:
            problems: Queue[str] = Queue()
            with medium.here():
                server = make_server(engine, ServerConfig(medium.ours, delay=DELAY, on_problem=problems.put))
                server.start()
            client.ask()
            if is_not_delivered(medium, way, engine):
                assert "127.0.0.1 passed lo, but the kernel did not hand it" in problems.get(timeout=10)
            else:
                assert client.says() == "heard"
                assert (server.answered, problems.qsize()) == (1, 0)
            server.stop()


@pytest.mark.parametrize("way", WAYS)
def test_our_clients_with_their_server(medium: Medium, way: str) -> None:
    with running(SERVER, [*medium.arguments, way], medium.namespace):
        for engine in RAW_ENGINES:
            with medium.here(), closing(make_client(engine, medium.ours, medium.their_address)) as client:
                reply = client.ask(15)
            assert (reply.response is None) == is_not_delivered(medium, way, engine), reply
            if reply.response is None:
                assert "127.0.0.1 passed lo, but the kernel did not hand it" in reply.reason


AS_ORDINARY_USER = """
import ctypes, fcntl, os, socket, struct, sys
from scapy.all import conf
conf.use_pcap = True  # all that it loads is loaded while it can be read
from contextlib import closing
from ipl_tui.exchange.engine import ServerConfig
from ipl_tui.exchange.engines import make_server
from ipl_tui.networks.kernel import KernelNetwork
from ipl_tui.exchange import scapy_engine
from ipl_tui.networks.kernel import arrivals
from tests.exchange.course import CLIENT
KernelNetwork().find("lo")

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(4, 1, 0, 0, 0) == 0  # PR_SET_DUMPABLE: its /proc/self is its own again
user, group = os.geteuid(), os.getegid()
assert user != 0
assert libc.unshare(0x10000000 | 0x40000000) == 0  # CLONE_NEWUSER | CLONE_NEWNET
for file, text in ("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1"):
    with open(f"/proc/self/{file}", "w") as opened:
        opened.write(text)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
    fcntl.ioctl(asker, 0x8914, struct.pack("16sH22x", b"lo", 0x1))  # SIOCSIFFLAGS: IFF_UP
conf.ifaces.reload()
conf.route.resync()

asking, questions = os.pipe()
if os.fork() == 0:
    os.dup2(asking, 0)
    os.close(questions)
    sys.argv = ["client", "lo", "127.0.0.1", "127.0.0.1", "libpcap"]
    exec(CLIENT)
    os._exit(0)
os.close(asking)
server = make_server("scapy", ServerConfig(KernelNetwork().find("lo"), delay=0.15))
server.start()
os.write(questions, b"\\n")
os.close(questions)
os.wait()
server.stop()
print("answered", server.answered)
"""


def test_an_ordinary_user_in_a_user_namespace(needs_libpcap: None, needs_sandbox: None) -> None:
    done = subprocess.run([sys.executable, "-c", AS_ORDINARY_USER], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:3] == ["begun", "heard", "answered 1"], done.stdout + done.stderr
