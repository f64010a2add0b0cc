"""Sockets over queues in this program: to capture and to listen on networks in memory, for Scapy and for others."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from scapy.data import MTU
from scapy.layers.inet import IP
from scapy.packet import Packet
from scapy.supersocket import SuperSocket

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import FilterError, compile_filter
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.sniffer import BATCH, BUFFER, CaptureSocket

PROTOCOL_BUFFER = 1 << 20
"""Bytes a protocol socket keeps if nobody reads: some thousand short packets."""

OVERHEAD = 256
"""Bytes of memory that keeping a frame takes besides its own."""

_POLL = 0.05
"""Seconds between two looks at whether to stop, when no packet arrives."""


class Mailbox:
    """A bounded queue of frames or packets, each with its time: select() can wait for it as for a socket."""

    def __init__(self, room: int) -> None:
        """room in bytes, what it keeps and OVERHEAD for each."""
        self.dropped = 0
        """Number of items that found no room."""
        self.closed = False
        self._room = room
        self._items: deque[tuple[int, bytes]] = deque()
        self._changed = threading.Condition()
        # There is a byte in it as long as something is in the queue: Windows selects nothing but sockets.
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        with suppress(OSError):  # on Windows it is TCP, and would hold back a second byte; elsewhere it is not
            self._writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(self, time: int, data: bytes) -> None:
        """Add something with its time; drops it when there is no room, or when it is closed."""
        size = len(data) + OVERHEAD
        with self._changed:
            if self.closed:
                return
            if size > self._room:
                self.dropped += 1
                return
            self._room -= size
            self._items.append((time, data))
            if len(self._items) == 1:
                self._writer.send(b"\0")
                self._changed.notify_all()

    def take(self, most: int) -> list[tuple[int, bytes]]:
        """Items that were put in, the oldest first; never waits. Raises EOFError when it is closed."""
        with self._changed:
            if self.closed:
                raise EOFError
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._room += sum(len(data) + OVERHEAD for _, data in taken)
            if not self._items:
                with suppress(BlockingIOError):
                    self._reader.recv(64)
            return taken

    def wait(self, timeout: float | None) -> bool:
        """True if there is something to take or it is closed; waits up to `timeout` seconds (None: for ever)."""
        with self._changed:
            return self._changed.wait_for(lambda: self.closed or bool(self._items), timeout)

    def fileno(self) -> int:
        return self._reader.fileno()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._items.clear()
            self._writer.close()  # the first of the two: it wakes whoever selects the other
            self._reader.close()
            self._changed.notify_all()


class QueueSocket(CaptureSocket):
    """Captures the frames it is offered."""

    def __init__(
        self, name: str, linktype: int, filter: str, on_close: Callable[[QueueSocket], None], room: int = BUFFER
    ) -> None:
        """Capture on an interface what passes the BPF filter; on_close is called once or more. Raises CaptureError."""
        try:
            self._filter = compile_filter(filter, linktype)
        except FilterError as error:
            raise CaptureError(f"The capture filter does not compile: {error}.") from error
        self.linktype = linktype
        self._name = name
        self._on_close = on_close
        self._mailbox = Mailbox(room)

    def offer(self, time: int, frame: bytes) -> None:
        """Capture a frame seen at a time in ns since the epoch, if the filter accepts it."""
        if self._filter.matches(frame):
            self._mailbox.put(time, frame)

    def wait(self, timeout: float) -> bool:
        return self._mailbox.wait(timeout)

    def recv_batch(self) -> Batch:
        try:
            taken = self._mailbox.take(BATCH)
        except EOFError:
            raise CaptureError(f"The capture on {self._name} is closed.") from None
        records = []
        start = 0
        for time, frame in taken:
            records.append((time, start, len(frame), len(frame)))
            start += len(frame)
        return Batch(b"".join(frame for _, frame in taken), records)

    def dropped(self) -> int:
        """Frames dropped so far because they were not read in time; also after close()."""
        return self._mailbox.dropped

    def fileno(self) -> int:
        return self._mailbox.fileno()

    def close(self) -> None:
        if not self.closed and hasattr(self, "_mailbox"):  # SuperSocket.__del__ also closes what failed to open
            self.closed = True
            self._mailbox.close()
            self._on_close(self)


class ProtocolSocket(SuperSocket):
    """A raw socket: recv() gives the packets it is offered, and None when there is none; if discarding, never any."""

    nonblocking_socket = True  # AsyncSniffer then asks select() below and needs no pipe to be stopped

    def __init__(
        self, discarding: bool, on_close: Callable[[ProtocolSocket], None], room: int = PROTOCOL_BUFFER
    ) -> None:
        self._deaf = discarding
        self._on_close = on_close
        self._mailbox = Mailbox(room)

    def offer(self, time: int, packet: bytes) -> None:
        """Receive an IPv4 packet that arrived at a time in ns since the epoch."""
        if not self._deaf:
            self._mailbox.put(time, packet)

    def recv_raw(self, x: int = MTU) -> tuple[type[Packet] | None, bytes | None, float | None]:
        try:
            taken = self._mailbox.take(1)
        except EOFError:
            raise OSError(errno.EBADF, "the socket was closed") from None
        for time, packet in taken:
            return IP, packet[:x], time / 1e9
        return None, None, None

    @staticmethod
    def select(sockets: list[SuperSocket], remain: float | None = None) -> list[SuperSocket]:
        """Scapy's select(), over protocol sockets, for a moment at most."""
        moment = _POLL if remain is None else min(remain, _POLL)
        return [socket for socket in sockets if isinstance(socket, ProtocolSocket) and socket._mailbox.wait(moment)]

    def fileno(self) -> int:
        return self._mailbox.fileno()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._mailbox.close()
            self._on_close(self)


class QueueRawSocket:
    """A raw socket as raw(7) has it, of a host in memory: what socket.socket(AF_INET, SOCK_RAW, proto) is elsewhere."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        on_close: Callable[[QueueRawSocket], None],
        room: int = PROTOCOL_BUFFER,
    ) -> None:
        """send passes on an IPv4 packet, or raises an exception whose message is for the user."""
        self._send = send
        self._on_close = on_close
        self._mailbox = Mailbox(room)
        self._timeout: float | None = None

    def offer(self, time: int, packet: bytes) -> None:
        """Receive an IPv4 packet that arrived at a time in ns since the epoch."""
        self._mailbox.put(time, packet)

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Nothing can be set: it is always as with IP_HDRINCL, which is needed to send from it elsewhere."""

    def settimeout(self, seconds: float | None) -> None:
        """Set how long recv() waits, in seconds; None for ever."""
        self._timeout = seconds

    def sendto(self, packet: bytes, address: tuple[str, int]) -> int:
        """Send a packet, which begins with its header, to the destination that it names. Raises OSError."""
        try:
            self._send(packet)
        except Exception as error:
            raise OSError(errno.ENETUNREACH, str(error)) from error
        return len(packet)

    def recv(self, size: int) -> bytes:
        """The next packet, cut to so many bytes. Raises TimeoutError, and OSError when it is closed."""
        if not self._mailbox.wait(self._timeout):
            raise TimeoutError
        try:
            return self._mailbox.take(1)[0][1][:size]
        except EOFError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    def fileno(self) -> int:
        return self._mailbox.fileno()

    def close(self) -> None:
        """Close; twice is fine."""
        if not self._mailbox.closed:
            self._mailbox.close()
            self._on_close(self)
