"""Live capture: Scapy's AsyncSniffer over sockets that hand over frames by the thousand."""

import struct
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from select import select
from typing import Any, NoReturn

from scapy.packet import Packet
from scapy.sendrecv import AsyncSniffer
from scapy.sessions import DefaultSession
from scapy.supersocket import SuperSocket

from ipl_tui.capture.errors import CaptureError, capture_remedy
from ipl_tui.capture.filters import FilterError, compile_filter, pcapy
from ipl_tui.capture.frames import SNAPLEN, Batch
from ipl_tui.capture.writers import LiveWriter

BATCH = 1024
"""The most frames handed over at once: more is slower, as the copies of a batch no longer fit the processor's cache."""

BUFFER = 42 << 20
"""Bytes of the kernel's ring: 100,000 frames of mixed sizes, a quarter of a second of a flood if nobody reads."""

_NO_SUCH_DEVICE, _NO_PERMISSION, _NOT_UP, _NO_PERMISSION_PROMISCUOUS = -5, -8, -9, -11  # PCAP_ERROR_… of pcap.h

_NOTHING = Batch(b"", [])
_POLL = 0.05
"""Seconds between two looks at whether to stop, when no frame arrives."""


class CaptureSocket(SuperSocket):
    """A Scapy socket that gives batches of frames, for a Sniffer. One thread receives; the rest may come from any."""

    # AsyncSniffer then asks select() below and needs no pipe to be stopped: writing to that pipe races with its end.
    nonblocking_socket = True
    linktype: int

    @abstractmethod
    def wait(self, timeout: float) -> bool:
        """True if there is something to receive; waits up to `timeout` seconds for it."""

    @abstractmethod
    def recv_batch(self) -> Batch:
        """Frames that have arrived, none if none have; never waits. Raises CaptureError when capturing has ended."""

    def recv_batches(self) -> list[tuple[int, Batch]]:
        """The same, each batch with the place of its interface among those captured on: here 0, the only one."""
        return [(0, self.recv_batch())]

    def descriptors(self) -> list[int]:
        """The file descriptors that select() finds readable when there is something to receive."""
        return [self.fileno()]

    @abstractmethod
    def dropped(self) -> int:
        """Frames the kernel has dropped so far because they were not read in time; also after close()."""

    @abstractmethod
    def close(self) -> None:
        """Close; twice is fine, and so is a thread that still receives."""

    @staticmethod
    def select(sockets: list[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        """Scapy's select(), over capture sockets, for a moment at most."""
        return [socket for socket in sockets if _ready(socket)]


def _ready(socket: SuperSocket) -> bool:
    try:
        return isinstance(socket, CaptureSocket) and (socket.closed or socket.wait(_POLL))
    except (OSError, ValueError):
        return True  # a socket that is closed or broken: receiving from it says so


class PcapySocket(CaptureSocket):
    """Captures on an interface of this machine with libpcap."""

    def __init__(
        self,
        name: str,
        filter: str = "",
        snaplen: int = SNAPLEN,
        buffer: int = BUFFER,
        timeout: int = 10,
    ) -> None:
        """Open an interface; buffer in bytes, timeout (of the kernel's batches) in ms. Raises CaptureError."""
        self._name = name
        self._dropped = 0
        # Closing a handle while another thread is inside libpcap with it would be a use after free in C.
        self._lock = threading.Lock()
        self._reader = _open(name, snaplen, buffer, timeout)
        self.linktype = self._reader.datalink()
        try:
            compile_filter(filter, self.linktype)
            if filter.strip():
                self._reader.setfilter(filter)
            self._reader.setnonblock(1)
        except (FilterError, pcapy.PcapError) as error:
            self.close()
            raise CaptureError(f"The capture filter does not compile: {error}.") from error
        self._descriptor: int = self._reader.getfd()

    def wait(self, timeout: float) -> bool:
        return bool(select([self._descriptor], [], [], timeout)[0])

    def recv_batch(self) -> Batch:
        try:
            with self._lock:
                data, records = self._reader.next_batch(BATCH)
        except ValueError:
            raise CaptureError(f"The capture on {self._name} is closed.") from None
        except pcapy.PcapError as error:
            raise CaptureError(_end(self._name, str(error))) from error
        # Seconds, microseconds, offset, captured length. pcapy leaves out the length on the wire: with SNAPLEN it is
        # the captured length.
        return Batch(
            data,
            [
                (second * 1_000_000_000 + microsecond * 1000, start, captured, captured)
                for second, microsecond, start, captured in struct.iter_unpack("=4I", records)
            ],
        )

    def dropped(self) -> int:
        try:
            with self._lock:
                self._dropped = self._reader.stats()[1]
        except (ValueError, pcapy.PcapError):
            pass  # closed, or the interface is gone: what was counted last stands
        return self._dropped

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        if self.closed or not hasattr(self, "_reader"):  # SuperSocket.__del__ also closes what failed to open
            return
        self.dropped()
        with self._lock:
            self.closed = True
            self._reader.close()


class FrameSocket(CaptureSocket):
    """Captures from any listening socket of Scapy: where pcapy-ng has no wheel, and on networks in memory."""

    def __init__(self, socket: SuperSocket, linktype: int) -> None:
        self._socket = socket
        self._dropped = 0
        self.linktype = linktype

    def wait(self, timeout: float) -> bool:
        return bool(self._socket.select([self._socket], timeout))

    def recv_batch(self) -> Batch:
        frames: list[bytes] = []
        records: list[tuple[int, int, int, int]] = []
        start = 0
        try:
            while len(records) < BATCH and self.wait(0):
                _, frame, seconds = self._socket.recv_raw(SNAPLEN)
                if frame is None:
                    break
                arrival = time.time_ns() if seconds is None else round(seconds * 1_000_000) * 1000
                records.append((arrival, start, len(frame), len(frame)))
                frames.append(frame)
                start += len(frame)
        except (EOFError, OSError, ValueError) as error:
            if not records:  # otherwise the next call says it
                raise CaptureError(f"Capturing ended: {error or 'the socket was closed'}.") from error
        return Batch(b"".join(frames), records) if records else _NOTHING

    def dropped(self) -> int:
        try:
            counted = self._socket.ins.getsockopt(263, 6, 8)  # SOL_PACKET, PACKET_STATISTICS: reading resets it
            self._dropped += struct.unpack("=II", counted)[1]
        except (AttributeError, OSError, struct.error):
            pass  # no packet socket, or closed
        return self._dropped

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        if not self.closed and hasattr(self, "_socket"):
            self.dropped()
            self.closed = True
            self._socket.close()


class _BatchSession(DefaultSession):
    """Hands batches to a writer, and nothing to Scapy: no frame is dissected on the way in."""

    def __init__(
        self,
        writer: LiveWriter,
        interfaces: Sequence[int],
        on_grown: Callable[[], None],
        on_end: Callable[[CaptureError | None], object],
    ) -> None:
        super().__init__()
        self._writer = writer
        self._interfaces = interfaces
        self._on_grown = on_grown
        self._on_end = on_end
        self.stopping = False

    def recv(self, sock: SuperSocket) -> Iterator[Packet]:
        # AsyncSniffer prints what a session raises, except EOFError: that ends the socket, and the sniffer with it.
        assert isinstance(sock, CaptureSocket)
        try:
            batches = [] if self.stopping else [each for each in sock.recv_batches() if each[1].records]
            if batches:
                self._writer.append_all([(self._interfaces[place], batch) for place, batch in batches])
                self._on_grown()
        except EOFError:
            self._end(None)
        except CaptureError as error:
            self._end(error)
        except Exception as error:
            self._end(CaptureError(f"Capturing stopped: {type(error).__name__}: {error}."))
        return iter(())

    def _end(self, reason: CaptureError | None) -> NoReturn:
        try:
            if not self.stopping:
                self.stopping = True
                self._on_end(reason)
        finally:
            raise EOFError


class Sniffer:
    """Captures from a socket into a store or another writer, in AsyncSniffer's thread, until stopped or it ends."""

    def __init__(
        self,
        socket: CaptureSocket,
        writer: LiveWriter,
        interfaces: Sequence[int],
        on_grown: Callable[[], None],
        on_end: Callable[[CaptureError | None], object],
    ) -> None:
        """Take over a socket; interfaces are the writer's numbers for those that it captures on, mostly one.

        Both callbacks come from the capturing thread: on_grown after each batch is in the writer; on_end once, when
        capturing ends by itself, with the reason (None: the socket's end), and not when stop() was asked for.
        """
        self.ready = threading.Event()
        """Set when frames are being captured."""
        self._socket = socket
        self._session = _BatchSession(writer, interfaces, on_grown, on_end)
        self._sniffer = AsyncSniffer(
            opened_socket=socket, session=self._session, store=False, started_callback=self.ready.set
        )

    @property
    def running(self) -> bool:
        thread = self._sniffer.thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Begin to capture; returns at once, `ready` is set soon after."""
        self._sniffer.start()

    def stop(self) -> None:
        """End capturing and close the socket: when it returns, no callback comes any more.

        Safe at any moment, in any thread, and twice; from a callback, the thread that calls ends right after it.
        """
        self._session.stopping = True
        thread = self._sniffer.thread
        if thread is not None and thread is not threading.current_thread():
            # Before it is ready, AsyncSniffer forgets that it was asked to stop.
            while thread.is_alive() and not self.ready.wait(_POLL):
                pass
            self._sniffer.stop_cb()
            thread.join()
        self._socket.close()

    def dropped(self) -> int:
        """Frames dropped by the kernel so far; the last count stays after the end."""
        return self._socket.dropped()


def _open(name: str, snaplen: int, buffer: int, timeout: int) -> Any:
    """An activated pcapy reader."""
    if pcapy is None:
        raise CaptureError(f"Capturing on {name} needs libpcap, which pcapy-ng does not bring to this system.")
    try:
        reader = pcapy.create(name)
        reader.set_snaplen(snaplen)
        reader.set_promisc(1)
        reader.set_timeout(timeout)
        reader.set_buffer_size(buffer)
        status = reader.activate()
        if status >= 0:  # above 0 are warnings, such as no promiscuous mode on this interface
            return reader
        if status not in (_NO_SUCH_DEVICE, _NO_PERMISSION, _NO_PERMISSION_PROMISCUOUS, _NOT_UP):
            pcapy.open_live(name, snaplen, 1, timeout)  # to hear libpcap's own words: activate() keeps them
    except (pcapy.PcapError, ValueError) as error:
        raise CaptureError(f"Cannot capture on {name}: {error}.") from error
    if status == _NO_SUCH_DEVICE:
        raise CaptureError(f"There is no interface {name}: choose another one.")
    if status == _NOT_UP:
        raise CaptureError(f"{name} is down: bring it up, then capture again.")
    if status in (_NO_PERMISSION, _NO_PERMISSION_PROMISCUOUS):
        raise CaptureError(f"Capturing on {name} needs permission: {capture_remedy()}.")
    raise CaptureError(f"Cannot capture on {name}: libpcap's error {status}.")


def _end(name: str, problem: str) -> str:
    """Reason why capturing on an interface ended, made of libpcap's words."""
    if "went down" in problem or "disappeared" in problem:  # it says the first for both
        return f"{name} went down or was removed: bring it up or choose another interface, then capture again."
    return f"Capturing on {name} stopped: {problem}."
