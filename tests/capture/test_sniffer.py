"""Live capture: the sniffer's promises with a scripted socket, and libpcap's on real interfaces."""

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from scapy.packet import Packet
from scapy.supersocket import SimpleSocket, SuperSocket

from ipl_tui.capture import sniffer as module
from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.sniffer import CaptureSocket, FrameSocket, PcapySocket, Sniffer
from ipl_tui.capture.store import Store
from tests.conftest import WITHOUT_RIGHTS, Pair, inside, run_ip

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and this loopback are Linux's")
PATIENCE = 10.0


class ScriptedSocket(CaptureSocket):
    """Gives what a test puts in: a batch, or an exception to raise, from receiving or (in waits) from waiting."""

    linktype = 1

    def __init__(self) -> None:
        self.script: list[Batch | Exception] = []
        self.waits: list[Exception] = []
        self.closings = 0

    def wait(self, timeout: float) -> bool:
        if self.waits:
            raise self.waits.pop()
        if not self.script:
            threading.Event().wait(min(timeout, 0.001))
        return bool(self.script)

    def recv_batch(self) -> Batch:
        step = self.script.pop(0) if self.script else Batch(b"", [])
        if isinstance(step, Exception):
            raise step
        return step

    def dropped(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True
        self.closings += 1


class Watch:
    """A sniffer with its callbacks recorded."""

    def __init__(self, sock: CaptureSocket, store: Store, text: str = "") -> None:
        self.store = store
        self.grown, self.ended = threading.Event(), threading.Event()
        self.reasons: list[CaptureError | None] = []
        self.threads: set[str] = set()
        place = store.add_interface("watched", sock.linktype, text)
        self.sniffer = Sniffer(sock, store, [place], self.on_grown, self.on_end)

    def on_grown(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.grown.set()

    def on_end(self, reason: CaptureError | None) -> None:
        self.threads.add(threading.current_thread().name)
        self.reasons.append(reason)
        self.ended.set()

    def wait_for(self, count: int) -> None:
        while len(self.store) < count:
            assert self.grown.wait(PATIENCE), f"{len(self.store)} of {count} frames came"
            self.grown.clear()

    def wait_for_the_end(self) -> None:
        assert self.ended.wait(PATIENCE)
        while self.sniffer.running:
            pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as store:
        yield store


TWO = Batch(b"abc", [(1, 0, 1, 1), (2, 1, 2, 60)])


def test_batches_go_into_the_store_and_nothing_is_dissected(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    sock = ScriptedSocket()
    sock.script = [TWO, Batch(b"", []), TWO]
    watch = Watch(sock, store)
    assert not watch.sniffer.running
    watch.sniffer.start()
    assert watch.sniffer.ready.wait(PATIENCE)
    assert watch.sniffer.running
    watch.wait_for(4)
    watch.sniffer.stop()
    watch.sniffer.stop()
    assert not watch.sniffer.running
    assert [store.frame(number).data for number in range(1, 5)] == [b"a", b"bc", b"a", b"bc"]
    assert store.frame(2).length == 60
    assert watch.sniffer.dropped() == 7
    assert sock.closed
    assert watch.reasons == []
    assert watch.threads == {"AsyncSniffer"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (EOFError(), None),
        (CaptureError("eth0 went down."), "eth0 went down."),
        (OSError(errno.EIO, "I/O error"), "Capturing stopped: OSError: [Errno 5] I/O error."),
        (RuntimeError("\x1b[31mred"), "Capturing stopped: RuntimeError: \x1b[31mred."),
    ],
)
def test_an_end_is_said_once_and_never_printed(
    store: Store, capfd: pytest.CaptureFixture[str], step: Exception, reason: str | None
) -> None:
    sock = ScriptedSocket()
    sock.script = [TWO, step, TWO]
    watch = Watch(sock, store)
    watch.sniffer.start()
    watch.wait_for_the_end()
    watch.sniffer.stop()
    assert [each and str(each) for each in watch.reasons] == [reason]
    assert len(store) == 2
    assert watch.threads == {"AsyncSniffer"}
    assert capfd.readouterr() == ("", "")


def test_a_socket_that_breaks_while_waiting_is_asked_why(store: Store) -> None:
    sock = ScriptedSocket()
    sock.waits = [ValueError("file descriptor cannot be a negative integer (-1)")]
    sock.script = [CaptureError("It broke.")]
    watch = Watch(sock, store)
    watch.sniffer.start()
    assert watch.ended.wait(PATIENCE)
    assert [str(each) for each in watch.reasons] == ["It broke."]
    watch.sniffer.stop()


def test_a_store_that_cannot_take_more_ends_the_capture(store: Store) -> None:
    sock = ScriptedSocket()
    watch = Watch(sock, store)
    store.close()
    sock.script = [TWO]
    watch.sniffer.start()
    assert watch.ended.wait(PATIENCE)
    assert [str(each) for each in watch.reasons] == ["The capture is closed."]
    watch.sniffer.stop()


@pytest.mark.parametrize("wrong", ["on_grown", "on_end"])
def test_a_callback_that_fails_ends_the_capture_quietly(
    store: Store, capfd: pytest.CaptureFixture[str], wrong: str
) -> None:
    ended = threading.Event()

    def on_grown() -> None:
        raise RuntimeError("from on_grown")

    reasons: list[str] = []

    def on_end(reason: CaptureError | None) -> None:
        reasons.append(str(reason))
        ended.set()
        if wrong == "on_end":
            raise RuntimeError("from on_end")

    sock = ScriptedSocket()
    sock.script = [TWO]
    sniffer = Sniffer(sock, store, [store.add_interface("x", 1)], on_grown, on_end)
    sniffer.start()
    assert ended.wait(PATIENCE)
    sniffer.stop()
    assert reasons == ["Capturing stopped: RuntimeError: from on_grown."]
    assert capfd.readouterr() == ("", "")


def test_stop_at_any_moment(store: Store) -> None:
    never = ScriptedSocket()
    Watch(never, store).sniffer.stop()
    assert never.closed
    for _ in range(50):
        sock = ScriptedSocket()
        sock.script = [TWO, TWO]
        watch = Watch(sock, store)
        watch.sniffer.start()
        watch.sniffer.stop()
        kept = len(store)
        assert not watch.sniffer.running
        assert sock.closed
        assert watch.reasons == []
        assert len(store) == kept


@pytest.mark.parametrize("callback", ["on_grown", "on_end"])
def test_stop_from_a_callback(store: Store, callback: str) -> None:
    sock = ScriptedSocket()
    sock.script = [TWO, CaptureError("end")]
    done = threading.Event()

    def stop(*_: object) -> None:
        sniffer.stop()
        done.set()

    def nothing(*_: object) -> None:
        pass

    calls: dict[str, Callable[..., None]] = {"on_grown": nothing, "on_end": nothing, callback: stop}
    sniffer = Sniffer(sock, store, [store.add_interface("x", 1)], calls["on_grown"], calls["on_end"])
    sniffer.start()
    assert done.wait(PATIENCE)
    sniffer.stop()
    assert not sniffer.running


class Listening(SimpleSocket):
    """A Scapy socket over one end of a socket pair, with times."""

    def recv_raw(self, x: int = 65535) -> tuple[type[Packet] | None, bytes | None, float | None]:
        return None, self.ins.recv(x), 1.5


def test_any_socket_of_scapy_can_be_captured_from(store: Store) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with far:
        watch = Watch(FrameSocket(Listening(near), 101), store)
        watch.sniffer.start()
        for number in range(20):
            far.send(b"frame %d" % number)
        watch.wait_for(20)
        watch.sniffer.stop()
    assert [store.frame(number).data for number in range(1, 21)] == [b"frame %d" % number for number in range(20)]
    assert store.frame(1).time == 1_500_000_000
    assert watch.sniffer.dropped() == 0
    assert watch.reasons == []


def test_a_socket_of_scapy_that_is_closed_ends_the_capture(store: Store) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with far:
        watch = Watch(FrameSocket(Listening(near), 101), store)
        watch.sniffer.start()
        assert watch.sniffer.ready.wait(PATIENCE)
        near.close()
        assert watch.ended.wait(PATIENCE)
    assert "Capturing ended" in str(watch.reasons[0])
    watch.sniffer.stop()


def ping(payload: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(payload, ("127.0.0.1", 9))


@LINUX
def test_frames_on_loopback_come_once_and_filtered(needs_root: None, store: Store) -> None:
    mark = b"ClientMessage %d" % os.getpid()
    watch = Watch(PcapySocket("lo", "udp dst port 9"), store)
    watch.sniffer.start()
    assert watch.sniffer.ready.wait(PATIENCE)
    for number in range(3):
        ping(mark + b" %d" % number)
    ping(b"end")
    end = 0
    while not end:
        watch.wait_for(len(store) + 1)
        end = next((number for number in range(1, len(store) + 1) if store.frame(number).data.endswith(b"end")), 0)
    watch.sniffer.stop()
    ours = [frame for number in range(1, end) if mark in (frame := store.frame(number)).data]
    assert [frame.data.rpartition(mark)[2] for frame in ours] == [b" 0", b" 1", b" 2"]
    assert all(frame.length == len(frame.data) for frame in ours)
    assert watch.sniffer.dropped() == 0


@LINUX
@pytest.mark.parametrize("change", ["down", "delete"])
def test_an_interface_that_goes_away_ends_the_capture(veth: Pair, store: Store, change: str) -> None:
    with inside(veth.client.namespace):
        watch = Watch(PcapySocket("c0"), store)
        watch.sniffer.start()
    assert watch.sniffer.ready.wait(PATIENCE)
    if change == "down":
        run_ip("-n", veth.client.namespace, "link", "set", "c0", "down")
    else:
        run_ip("-n", veth.client.namespace, "link", "delete", "c0")
    assert watch.ended.wait(PATIENCE)
    expected = "c0 went down or was removed: bring it up or choose another interface, then capture again."
    assert [str(each) for each in watch.reasons] == [expected]
    watch.sniffer.stop()
    assert watch.sniffer.dropped() == 0


@LINUX
def test_what_is_dropped_is_counted(veth: Pair) -> None:
    with inside(veth.server.namespace):
        capture = PcapySocket("s0", "udp", buffer=1 << 20)
    with inside(veth.client.namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not capture.dropped():
            sender.sendto(bytes(1400), (veth.server.address, 9))
    assert capture.recv_batch().records
    counted = capture.dropped()
    capture.close()
    assert capture.dropped() >= counted


@LINUX
def test_calls_on_a_closed_capture(needs_root: None) -> None:
    capture = PcapySocket("lo")
    capture.close()
    capture.close()
    with pytest.raises(CaptureError, match="closed"):
        capture.recv_batch()
    assert capture.dropped() == 0


@LINUX
def test_closing_while_another_thread_receives(needs_root: None) -> None:
    for _ in range(20):
        capture = PcapySocket("lo")
        begun = threading.Event()
        reasons: list[str] = []

        def receive(capture: PcapySocket = capture, begun: threading.Event = begun, said: list[str] = reasons) -> None:
            try:
                while True:
                    capture.recv_batch()
                    begun.set()
            except CaptureError as error:
                said.append(str(error))

        thread = threading.Thread(target=receive)
        thread.start()
        assert begun.wait(PATIENCE)
        capture.close()
        thread.join(PATIENCE)
        assert reasons == ["The capture on lo is closed."]


@LINUX
@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("nosuch0", "", "There is no interface nosuch0: choose another one."),
        ("a\0b", "", "embedded null character"),
        ("lo", "ip and", "The capture filter does not compile: can't parse filter expression: syntax error."),
        ("lo", "host example.org", "unknown host 'example.org'"),
    ],
)
def test_what_cannot_be_opened(needs_root: None, name: str, text: str, sentence: str) -> None:
    with pytest.raises(CaptureError) as caught:
        PcapySocket(name, text)
    assert sentence in str(caught.value)


@LINUX
@pytest.mark.anywhere
def test_an_ordinary_user_is_told_what_to_do(needs_root: None) -> None:
    code = (
        f"{WITHOUT_RIGHTS}import ipl_tui.capture.sniffer as s\n"
        "try: s.PcapySocket('lo')\n"
        "except s.CaptureError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    python = os.path.realpath(sys.executable)
    remedy = f"run with sudo, or give Python the capability: sudo setcap cap_net_raw+ep {python}"
    assert said.stdout == f"Capturing on lo needs permission: {remedy}.\n"
    assert said.stderr == ""


def test_without_pcapy_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pcapy", None)
    with pytest.raises(CaptureError, match="needs libpcap"):
        PcapySocket("lo")


def test_importing_loads_no_textual_and_prints_nothing() -> None:
    code = "import sys, ipl_tui.capture.sniffer, ipl_tui.capture.files; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_scapy_still_asks_a_capture_socket_as_we_expect() -> None:
    """AsyncSniffer takes select() from the socket itself, and needs no pipe where nonblocking_socket is set."""
    assert SuperSocket.nonblocking_socket is False
    assert CaptureSocket.nonblocking_socket is True
    with Store() as store:
        watch = Watch(ScriptedSocket(), store)
        watch.sniffer.start()
        assert watch.sniffer.ready.wait(PATIENCE)
        watch.sniffer.stop()
        assert not watch.sniffer.running
