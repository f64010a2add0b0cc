"""The sandbox: that its hosts follow the plan, that it leaves nothing behind, and what it says where it can't be."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.sniffer import CaptureSocket
from ipl_tui.networks.interface import Ability, Interface, LinkError, Method, SendError
from ipl_tui.networks.plan import PATH, SERVER, Link
from ipl_tui.networks.sandbox import network as module
from ipl_tui.networks.sandbox.network import ENDED, SandboxError, SandboxNetwork
from tests.conftest import wait_until

METHODS: tuple[Method, ...] = ("exact", "kernel")
CLIENT, ROUTER, SERVER_ADDRESS = "10.0.1.10", "10.0.1.1", "10.0.2.20"


def datagram(
    destination: str, payload: bytes = b"hello", source: str = CLIENT, ttl: int = 64, flags: str = ""
) -> bytes:
    return bytes(IP(src=source, dst=destination, proto=253, id=7, ttl=ttl, flags=flags) / payload)


def read(capture: CaptureSocket, wanted: Callable[[Packet], bool], count: int = 1) -> list[Ether]:
    """Frames up to the last that is wanted, of so many."""
    frames: list[Ether] = []
    while sum(map(wanted, frames)) < count:
        assert capture.wait(5), f"captured only {frames}"
        data, records = capture.recv_batch()
        frames += [Ether(data[start : start + length]) for _, start, length, _ in records]
    return frames


def is_icmp(kind: int, code: int) -> Callable[[Packet], bool]:
    return lambda frame: ICMP in frame and (frame[ICMP].type, frame[ICMP].code) == (kind, code)


def refusal(interface: Interface, packet: bytes, method: Method) -> str:
    with pytest.raises(SendError) as problem:
        interface.send(packet, method)
    return str(problem.value)


def helpers() -> list[psutil.Process]:
    """The helper processes of this process, also those that have ended and were not waited for."""
    return psutil.Process().children()


@pytest.fixture
def client(sandbox: SandboxNetwork) -> Interface:
    return sandbox.find("client")


def test_the_interfaces_are_those_of_the_plan(sandbox: SandboxNetwork) -> None:
    interfaces = sandbox.interfaces()
    assert [i.full_name for i in interfaces] == [
        "sandbox:client/c0",
        "sandbox:router/r0",
        "sandbox:router/r1",
        "sandbox:server/s0",
    ]
    assert [i.addresses for i in interfaces] == [(port.address,) for port in PATH]
    assert [i.mtu for i in interfaces] == [1500, 1500, 576, 576]
    assert [i.destination for i in interfaces] == [SERVER_ADDRESS, CLIENT, SERVER_ADDRESS, CLIENT]
    assert sandbox.path() == tuple(interfaces)
    assert sandbox.responder_at(interfaces[0]).name == SERVER.name
    assert sandbox.private
    assert helpers() == [], "nothing runs before it is used"


def test_a_packet_passes_the_path(sandbox: SandboxNetwork) -> None:
    """As a frame and through a raw socket: there and back, on every interface, with the plan's hardware addresses."""
    hardware = {port.name: ":".join(f"{byte:02x}" for byte in port.hardware_address) for port in PATH}
    with ExitStack() as leaving:
        captures = [leaving.enter_context(interface.open_capture("icmp")) for interface in sandbox.path()]
        for method in METHODS:
            sandbox.find("c0").send(bytes(IP(src=CLIENT, dst=SERVER_ADDRESS) / ICMP(id=9)), method)
            seen = [read(capture, is_icmp(0, 0)) for capture in captures]
            assert [[frame[IP].ttl for frame in frames] for frames in seen] == [[64, 63], [64, 63], [63, 64], [63, 64]]
            there = [(frames[0].src, frames[0].dst) for frames in seen]
            assert there == [(hardware["c0"], hardware["r0"])] * 2 + [(hardware["r1"], hardware["s0"])] * 2


def test_every_packet_gets_its_icmp_error(client: Interface) -> None:
    """A thousand at once, where the kernel's own settings let some 50 through."""
    with client.open_capture("icmp") as capture:
        for _ in range(1000):
            client.send(datagram(SERVER_ADDRESS, ttl=1), "exact")
        errors = read(capture, is_icmp(11, 0), 1000)
    assert {frame[IP].src for frame in errors} == {ROUTER}


def test_a_spoofed_source_passes_the_router(sandbox: SandboxNetwork) -> None:
    with sandbox.find("c0").open_capture("ip src 192.0.2.7") as capture:
        sandbox.find("s0").send(datagram(CLIENT, source="192.0.2.7"), "exact")
        assert [frame[IP].ttl for frame in read(capture, lambda frame: IP in frame)] == [63]


def test_the_hosts_have_no_ipv6(sandbox: SandboxNetwork) -> None:
    for interface in sandbox.path():
        interface.open_protocol(253).close()  # the helper is in that host now
        assert Path(f"/proc/{sandbox.helper().pid}/net/if_inet6").read_text() == ""


def test_setting_a_link(sandbox: SandboxNetwork) -> None:
    client, link = sandbox.find("c0"), sandbox.links()[1]
    packet = datagram(SERVER_ADDRESS, bytes(480), flags="DF")
    sandbox.set_link(replace(link, mtu=400))
    with client.open_capture("icmp") as capture:
        client.send(packet, "exact")
        (too_big,) = read(capture, is_icmp(3, 4))
        assert too_big[ICMP].nexthopmtu == 400

        sandbox.set_link(replace(link, mtu=450))
        assert [interface.mtu for interface in sandbox.path()] == [1500, 1500, 450, 450]
        assert sandbox.links() == (Link(("c0", "r0"), 1500, None, None), Link(("r1", "s0"), 450, None, None))
        client.send(packet, "exact")
        (too_big,) = read(capture, is_icmp(3, 4))
        assert too_big[ICMP].nexthopmtu == 450
        sentence = "The packet has 451 bytes and s0 takes 450 at most (its MTU)."
        for method in METHODS:
            assert refusal(sandbox.find("s0"), datagram(CLIENT, bytes(431)), method) == sentence


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        (Link(("c0", "s0")), 'There is no link "c0-s0"; there are c0-r0 and r1-s0.'),
        (Link(("r1", "s0"), mtu=67, latency=None, loss=None), "The MTU is 68 to 65,535 bytes."),
        (Link(("r1", "s0"), latency=0.1, loss=None), "The latency can't be set here, only the MTU."),
    ],
)
def test_links_that_cannot_be_set(link: Link, sentence: str) -> None:
    network = SandboxNetwork()
    with pytest.raises(LinkError) as problem:
        network.set_link(link)
    assert str(problem.value) == sentence


@pytest.mark.parametrize("mtu", [68, 65_535])
def test_the_smallest_and_the_largest_mtu(sandbox: SandboxNetwork, mtu: int) -> None:
    sandbox.helper()
    for link in sandbox.links():
        sandbox.set_link(replace(link, mtu=mtu))
    client = sandbox.find("c0")
    with sandbox.find("s0").open_capture("ip proto 253") as capture:
        client.send(datagram(SERVER_ADDRESS, bytes(mtu - 20)), "exact")
        assert [len(frame) for frame in read(capture, lambda frame: IP in frame)] == [14 + mtu]


def test_the_reassembly_timeout(sandbox: SandboxNetwork) -> None:
    with closing(SandboxNetwork(reassembly_timeout=0.9)) as network:
        client = network.find("c0")
        with client.open_capture("icmp") as capture:
            client.send(datagram(SERVER_ADDRESS, bytes(8), flags="MF"), "exact")
            (exceeded,) = read(capture, is_icmp(11, 1))
    assert exceeded[IP].src == SERVER_ADDRESS


REFUSALS: dict[str, tuple[str, Method, bytes, str]] = {
    "no route": (
        "r0",
        "exact",
        datagram("203.0.113.1"),
        "No route to 203.0.113.1 on r0: send from another interface.",
    ),
    "not through this port": (
        "r0",
        "exact",
        datagram(SERVER_ADDRESS),
        "No route to 10.0.2.20 on r0: send from another interface.",
    ),
    "nobody": ("c0", "exact", datagram("10.0.1.99"), "Nobody at 10.0.1.99 answered ARP on c0."),
    "own address": (
        "r0",
        "exact",
        datagram("10.0.2.1"),
        "10.0.2.1 is the router's own address and no frame reaches it: kernel delivers it.",
    ),
    "IHL 4": (
        "c0",
        "kernel",
        bytes(IP(src=CLIENT, dst=SERVER_ADDRESS, ihl=4) / b"hello"),
        "The kernel refuses this header (IHL is below 5); exact sends it as it is.",
    ),
}


@pytest.mark.parametrize(("name", "method", "packet", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_is_not_sent_says_why(
    sandbox: SandboxNetwork, name: str, method: Method, packet: bytes, sentence: str
) -> None:
    assert refusal(sandbox.find(name), packet, method) == sentence


@pytest.mark.parametrize(
    ("destination", "link_address"),
    [("10.0.1.255", "ff:ff:ff:ff:ff:ff"), ("255.255.255.255", "ff:ff:ff:ff:ff:ff"), ("224.1.2.3", "01:00:5e:01:02:03")],
)
def test_broadcast_and_multicast_ask_nobody(client: Interface, destination: str, link_address: str) -> None:
    with client.open_capture() as capture:
        client.send(datagram(destination), "exact")
        (frame,) = read(capture, lambda frame: True)
    assert (frame.dst, bytes(frame[IP])) == (link_address, datagram(destination))


def test_a_neighbour_is_asked_for_once(client: Interface) -> None:
    with client.open_capture() as capture:
        for _ in range(3):
            client.send(datagram(ROUTER), "exact")
        frames = read(capture, is_icmp(3, 2), 3)
    asked = [frame for frame in frames if ARP in frame and frame[ARP].op == 1 and frame[ARP].psrc == CLIENT]
    assert [frame[ARP].pdst for frame in asked] == [ROUTER]


@pytest.mark.parametrize(("destination", "holder"), [(ROUTER, "r0"), ("10.0.2.1", "r1")])
def test_own_addresses_are_reached_from_every_interface(sandbox: SandboxNetwork, destination: str, holder: str) -> None:
    packet = datagram(destination, source=ROUTER)
    for interface in (sandbox.find("r0"), sandbox.find("r1")):
        assert interface.choose_method(destination) == interface.choose_method("127.0.0.1") == "kernel"
        with sandbox.find(holder).open_protocol(253) as protocol:
            interface.send(packet, "kernel")
            assert bytes(protocol.recv() or b"") == packet


def test_many_threads_start_one_helper(sandbox: SandboxNetwork) -> None:
    started = threading.Barrier(12)
    problems: list[Exception] = []

    def use(interface: Interface, number: int) -> None:
        try:
            started.wait()
            match number % 3:
                case 0:
                    interface.open_capture().close()
                case 1:
                    interface.send(datagram("255.255.255.255"), "exact")
                case 2:
                    interface.open_protocol(253).close()
        except Exception as error:
            problems.append(error)

    threads = [
        threading.Thread(target=use, args=(interface, number))
        for interface in sandbox.interfaces()
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(helpers()) == 1


def test_closing_ends_the_helper_and_using_it_begins_again(sandbox: SandboxNetwork, client: Interface) -> None:
    for _ in range(2):
        with client.open_capture("icmp") as capture:
            client.send(datagram(SERVER_ADDRESS), "exact")
            read(capture, is_icmp(3, 2))
            sandbox.close()
            assert helpers() == []
            assert capture.wait(0)
            with pytest.raises(CaptureError) as problem:
                capture.recv_batch()
        assert str(problem.value) == ENDED
    sandbox.close()


def test_a_helper_that_dies_is_noticed_and_replaced(sandbox: SandboxNetwork) -> None:
    client = sandbox.find("c0")
    with ExitStack() as leaving:
        captures = [leaving.enter_context(interface.open_capture()) for interface in sandbox.path()]
        for method in METHODS:
            client.send(datagram(ROUTER), method)
        os.kill(sandbox.helper().pid, signal.SIGKILL)
        for capture in captures:
            with pytest.raises(CaptureError) as problem:
                while capture.wait(5):
                    capture.recv_batch()
            assert str(problem.value) == ENDED

        with client.open_capture("icmp") as capture:
            for method in METHODS:  # not through the sockets kept from before
                client.send(datagram(ROUTER), method)
            read(capture, is_icmp(3, 2), 2)
    assert len(helpers()) == 1, "the dead one was waited for"


def test_a_helper_that_hangs_is_given_up(sandbox: SandboxNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_ANSWER", 0.5)
    client = sandbox.find("c0")
    hung = sandbox.helper()
    os.kill(hung.pid, signal.SIGSTOP)
    with pytest.raises(CaptureError) as problem:
        client.open_capture()
    assert str(problem.value) == ENDED
    wait_until(lambda: not hung.running)
    client.open_capture().close()
    assert sandbox.helper() is not hung


def test_a_helper_that_ends_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sandbox: SandboxNetwork) -> None:
    broken = tmp_path / "helper.py"
    broken.write_text("raise SystemExit(3)")
    monkeypatch.setattr(module, "_HELPER", broken)
    assert refusal(sandbox.find("c0"), datagram(ROUTER), "exact") == (
        "The sandbox's helper process ended at once, with status 3."
    )
    assert helpers() == []


def test_the_helper_loads_nothing_that_takes_long() -> None:
    command = [sys.executable, "-X", "importtime", "-I", "-S", str(module._HELPER)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "rtnetlink" in loaded
    assert not {"typing", "dataclasses", "pathlib", "ipl_tui"} & loaded


def test_an_app_that_is_killed_leaves_nothing_behind(sandbox: SandboxNetwork) -> None:
    program = """if True:
        import os, signal
        from ipl_tui.networks.sandbox import SandboxNetwork
        network = SandboxNetwork()
        sockets = [interface.open_capture() for interface in network.path()]
        sockets += [interface.open_protocol(253) for interface in network.path()]
        pid = network.helper().pid
        links = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")]
        print(pid, *sorted(link for link in links if link.startswith("net:")), flush=True)
        signal.pause()
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        helper, *namespaces = app.stdout.readline().split()
        assert len(namespaces) == 3
        assert set(namespaces) <= set(namespaces_in_use())
        app.kill()
    wait_until(lambda: not is_alive(int(helper)))
    assert not set(namespaces) & set(namespaces_in_use())


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # whether init waits for it is not our business
    except psutil.NoSuchProcess:
        return False


def namespaces_in_use() -> Iterator[str]:
    """The network namespaces that a process is in or has open, as far as this user may look."""
    for process in Path("/proc").glob("[0-9]*"):
        for kind in ("fd/*", "ns/net", "task/*/ns/net"):
            try:
                links = [os.readlink(path) for path in process.glob(kind)]
            except OSError:
                continue  # ended meanwhile, or somebody else's
            yield from (link for link in links if link.startswith("net:"))


def open_in(pid: int) -> set[str]:
    """The sockets and pipes that a process has open."""
    links = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this listing, when it is our own
            links.add(os.readlink(path))
    return {link for link in links if link.startswith(("socket:", "pipe:"))}


def test_other_processes_inherit_nothing(client: Interface) -> None:
    before = open_in(os.getpid())
    with client.open_capture(), client.open_protocol(253):
        for method in METHODS:
            client.send(datagram(ROUTER), method)
        ours = open_in(os.getpid()) - before
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as other:
            assert not open_in(other.pid) & ours
    assert len(ours) == 6, "to the helper and from it, of the capture, the protocol and the two methods"


def test_where_namespaces_are_used_up(sandbox: SandboxNetwork) -> None:
    """Inside a user namespace of its own, whose limit is its owner's to set."""
    program = """if True:
        import ctypes, os
        user, group = os.geteuid(), os.getegid()
        assert ctypes.CDLL(None).unshare(0x10000000) == 0
        for path, text in {
            "setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1",
        }.items():
            open(f"/proc/self/{path}", "w").write(text)
        open("/proc/sys/user/max_user_namespaces", "w").write("0")
    """
    sentence = "This system allows no more namespaces, which the sandbox needs: sudo sysctl "
    assert said_where(program) == sentence + "user.max_user_namespaces=15000 user.max_net_namespaces=15000."


def test_where_a_container_forbids_namespaces(sandbox: SandboxNetwork) -> None:
    """With a system call filter as Docker has it: unshare() fails with EPERM."""
    if os.uname().machine != "x86_64":
        pytest.skip("the filter has the number of a system call of x86-64")
    program = """if True:
        import ctypes, struct
        libc = ctypes.CDLL(None, use_errno=True)
        code = [(0x20, 0, 0, 0), (0x15, 0, 1, 272), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
        filter = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, struct.pack("@HP", len(code), ctypes.addressof(filter))) == 0  # PR_SET_SECCOMP
    """
    assert said_where(program) == (
        "A container or a security policy forbids the sandbox its namespaces (unshare: Operation not permitted): "
        "run outside of it, or start the container with --privileged."
    )


def said_where(program: str) -> str:
    """What a process that has first run a program is told, by asking and by trying alike."""
    program += """
        import json
        from ipl_tui.capture.errors import CaptureError
        from ipl_tui.networks.interface import SendError
        from ipl_tui.networks.sandbox import SandboxNetwork
        interface = SandboxNetwork().find("c0")
        said = [ability.reason for ability in interface.abilities().values()]
        def send():
            interface.send(bytes(20), "exact")
        def listen():
            interface.open_protocol(253)
        for use in (interface.open_capture, send, listen):
            try:
                use()
            except (CaptureError, SendError) as error:
                said.append(str(error))
        print(json.dumps(said))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    assert len(said) == 5
    assert len(set(said)) == 1
    return said[0]


APPARMOR, DEBIAN = "kernel/apparmor_restrict_unprivileged_userns", "kernel/unprivileged_userns_clone"
FORBIDDEN = {
    "Ubuntu": (errno.EPERM, "/proc/self/uid_map", {APPARMOR: "1"}, f"{APPARMOR.replace('/', '.')}=0."),
    "old Debian": (errno.EPERM, "unshare", {DEBIAN: "0", APPARMOR: ""}, f"{DEBIAN.replace('/', '.')}=1."),
    "a policy": (errno.EACCES, "unshare", {DEBIAN: "1", APPARMOR: "0"}, "(unshare: Permission denied)"),
    "read-only /proc/sys": (errno.EROFS, "/proc/sys/net/ipv4/ip_forward", {}, "In this container"),
    "no veth": (errno.EOPNOTSUPP, "rtnetlink 16", {}, "sudo modprobe veth."),
    "no user namespaces": (errno.EINVAL, "unshare", {}, "built without user or network namespaces"),
    "no /proc": (errno.ENOENT, "/proc/self/uid_map", {}, "(/proc/self/uid_map: No such file or directory)"),
}


@pytest.mark.parametrize(("number", "what", "settings", "words"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_why_it_is_forbidden(
    number: int, what: str, settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other systems answer, which can't be had here; the words are those of the first who asks."""

    def refuse(plan: object) -> None:
        raise SandboxError(module._why_forbidden(OSError(number, os.strerror(number), what)))

    monkeypatch.setattr(module, "_read_setting", lambda path: settings.get(path, ""))
    monkeypatch.setattr(module, "_Helper", refuse)
    interface = SandboxNetwork().find("c0")
    assert interface.can_send() == interface.can_capture()
    assert not interface.can_capture().possible
    assert words in interface.can_capture().reason


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINUX", False)
    for interface in SandboxNetwork().interfaces():
        assert interface.obstacles() == ["The sandbox needs Linux: the simulated network is the same without it."]


def test_what_is_forbidden_is_asked_again_after_a_while(
    sandbox: SandboxNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []
    now = 100.0

    def refuse(plan: object) -> None:
        tries.append(plan)
        raise SandboxError("forbidden")

    network = SandboxNetwork()
    monkeypatch.setattr("ipl_tui.networks.sandbox.network.time.monotonic", lambda: now)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_Helper", refuse)
        for interface in network.interfaces():
            assert interface.can_capture() == interface.can_send() == Ability(False, "forbidden")
        assert len(tries) == 1
        now += 2.5
        assert network.ability() == Ability(False, "forbidden")
        assert len(tries) == 2
    now += 2.5
    assert network.ability() == Ability(True)
    monkeypatch.setattr(module, "_Helper", refuse)
    now += 1000
    assert network.ability() == Ability(True)
    assert len(tries) == 2
    assert helpers() == []


def test_listing_asking_and_setting_load_neither_scapy_nor_textual(sandbox: SandboxNetwork) -> None:
    program = """if True:
        import sys
        from dataclasses import replace
        from ipl_tui.networks.sandbox import SandboxNetwork
        network = SandboxNetwork()
        for interface in network.interfaces():
            interface.can_capture(), interface.can_send(), interface.choose_method("10.0.0.1")
        network.set_link(replace(network.links()[0], mtu=100))
        print([name for name in ("scapy", "textual") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
