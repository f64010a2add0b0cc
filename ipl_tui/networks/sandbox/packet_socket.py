"""Captures from a packet socket of Linux that somebody else has opened: the sandbox's interfaces."""

import mmap
import socket
import struct
import threading
from os import close, dup
from select import select

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.filters import FilterError, compile_filter
from ipl_tui.capture.frames import Batch
from ipl_tui.capture.sniffer import BATCH, CaptureSocket
from ipl_tui.packets.link_layer import ETHERNET

_SOL_PACKET, _ETH_P_ALL = 263, 3  # linux/if_packet.h, if_ether.h, as the rest
_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_COPY_THRESH, _PACKET_VERSION = 5, 6, 7, 10
_TPACKET_V2 = 1

_SLOT = 2048
"""Bytes of the ring for a frame, enough for the usual MTU of 1,500. What is longer waits whole in the socket's own
buffer, which the kernel keeps small (net.core.rmem_max) for users without root, unlike the ring."""
_BLOCK = 1 << 17
_RING = 8 << 20
"""Bytes: 4,096 frames, a few times what the largest packet becomes on the link with the smallest MTU."""

# struct tpacket2_hdr: status, length on the wire, captured length, where the frame begins, (network layer), s, ns.
_FRAME = struct.Struct("=3I2H2I")
_STATUS = struct.Struct("=I")
_KERNEL, _USER, _COPY = 0, 1, 2  # TP_STATUS_…: free; filled; filled, and whole in the socket's buffer


class PacketSocket(CaptureSocket):
    """Captures in both directions on an Ethernet interface. A frame can be received as soon as it has passed, as
    MergedSocket wants it, so that the ring is TPACKET_V2: version 3 hands over blocks of frames, each some ms late."""

    linktype = ETHERNET

    def __init__(self, opened: socket.socket, name: str, filter: str, lifeline: int, ended: str) -> None:
        """Take over a packet socket (SOCK_RAW, protocol 0, not bound) and capture on the interface of its namespace.

        Capturing ends, with the sentence `ended`, when the descriptor `lifeline` becomes readable. Raises CaptureError.
        """
        self._name = name
        self._ended = ended
        self._dropped = 0
        self._next = 0
        self._lock = threading.Lock()
        self._socket = opened
        try:
            compile_filter(filter, ETHERNET).attach(opened)
            opened.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
            opened.setsockopt(_SOL_PACKET, _PACKET_COPY_THRESH, 1)
            ring = struct.pack("=4I", _BLOCK, _RING // _BLOCK, _SLOT, _RING // _SLOT)
            opened.setsockopt(_SOL_PACKET, _PACKET_RX_RING, ring)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RING)  # as much of it as the kernel allows
            opened.bind((name, _ETH_P_ALL))
            self._ring = mmap.mmap(opened.fileno(), _RING)
            self._lifeline = dup(lifeline)
        except FilterError as error:
            opened.close()
            raise CaptureError(f"The capture filter does not compile: {error}.") from error
        except OSError as error:
            opened.close()
            raise CaptureError(f"Cannot capture on {name}: {error.strerror}.") from error
        self._descriptor = opened.fileno()

    def wait(self, timeout: float) -> bool:
        return bool(select(self.descriptors(), [], [], timeout)[0])

    def recv_batch(self) -> Batch:
        frames: list[bytes] = []
        records: list[tuple[int, int, int, int]] = []
        start = 0
        with self._lock:
            if self.closed:
                raise CaptureError(f"The capture on {self._name} is closed.")
            while len(records) < BATCH:
                at = self._next * _SLOT
                status, length, captured, begin, _, second, nanosecond = _FRAME.unpack_from(self._ring, at)
                if not status & _USER:
                    break
                in_ring = slice(at + begin, at + begin + captured)
                frame = self._socket.recv(length) if status & _COPY else self._ring[in_ring]
                _STATUS.pack_into(self._ring, at, _KERNEL)
                self._next = (self._next + 1) % (_RING // _SLOT)
                records.append((second * 1_000_000_000 + nanosecond, start, len(frame), length))
                frames.append(frame)
                start += len(frame)
            if not records and select([self._lifeline], [], [], 0)[0]:
                raise CaptureError(self._ended)
        return Batch(b"".join(frames), records)

    def dropped(self) -> int:
        with self._lock:
            if not self.closed:
                counted = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)  # reading resets it
                self._dropped += struct.unpack("=II", counted)[1]
            return self._dropped

    def fileno(self) -> int:
        return self._descriptor

    def descriptors(self) -> list[int]:
        return [self._descriptor, self._lifeline]

    def close(self) -> None:
        if self.closed or not hasattr(self, "_descriptor"):  # SuperSocket.__del__ also closes what failed to open
            return
        self.dropped()
        with self._lock:
            if not self.closed:
                self.closed = True
                self._ring.close()
                self._socket.close()
                close(self._lifeline)
