"""The sandbox's helper process: one for each sandbox, what happens when it ends, and why there may be none."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from ipl_tui.capture.errors import CaptureError
from ipl_tui.networks.interface import Interface
from ipl_tui.networks.sandbox import SandboxNetwork, network, process
from ipl_tui.networks.sandbox.process import ENDED, SandboxError
from tests.conftest import Children, wait_until
from tests.networks.sandbox.common import (
    METHODS,
    ROUTER,
    SERVER_ADDRESS,
    datagram,
    is_icmp,
    read,
    refusal,
)


def test_many_threads_start_one_helper(sandbox: SandboxNetwork, children: Children) -> None:
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
    assert len(children()) == 1


def test_closing_ends_the_helper_and_using_it_begins_again(
    sandbox: SandboxNetwork, client: Interface, children: Children
) -> None:
    for _ in range(2):
        with client.open_capture("icmp") as capture:
            client.send(datagram(SERVER_ADDRESS), "exact")
            read(capture, is_icmp(3, 2))
            sandbox.close()
            assert children() == []
            assert capture.wait(0)
            with pytest.raises(CaptureError) as problem:
                capture.recv_batch()
        assert str(problem.value) == ENDED
    sandbox.close()


def test_a_helper_that_dies_is_noticed_and_replaced(sandbox: SandboxNetwork, children: Children) -> None:
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
    assert len(children()) == 1, "the dead one was waited for"


def test_a_helper_that_hangs_is_given_up(sandbox: SandboxNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_LONGEST_ANSWER", 0.5)
    client = sandbox.find("c0")
    hung = sandbox.helper()
    os.kill(hung.pid, signal.SIGSTOP)
    with pytest.raises(CaptureError) as problem:
        client.open_capture()
    assert str(problem.value) == ENDED
    wait_until(lambda: not hung.running)
    client.open_capture().close()
    assert sandbox.helper() is not hung


def test_a_helper_that_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sandbox: SandboxNetwork, children: Children
) -> None:
    broken = tmp_path / "helper.py"
    broken.write_text("raise SystemExit(3)")
    monkeypatch.setattr(process, "_HELPER", broken)
    assert refusal(sandbox.find("c0"), datagram(ROUTER), "exact") == (
        "The sandbox's helper process ended at once, with status 3."
    )
    assert children() == []


def test_the_helper_loads_nothing_that_takes_long() -> None:
    command = [sys.executable, "-X", "importtime", "-I", "-S", str(process._HELPER)]
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
    for folder in Path("/proc").glob("[0-9]*"):
        for kind in ("fd/*", "ns/net", "task/*/ns/net"):
            try:
                links = [os.readlink(path) for path in folder.glob(kind)]
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

    def refuse(*plan: object) -> None:
        raise SandboxError(process._why_forbidden(OSError(number, os.strerror(number), what)))

    monkeypatch.setattr(process, "_read_setting", lambda path: settings.get(path, ""))
    monkeypatch.setattr(network, "HelperProcess", refuse)
    interface = SandboxNetwork().find("c0")
    assert interface.can_send() == interface.can_capture()
    assert not interface.can_capture().possible
    assert words in interface.can_capture().reason
