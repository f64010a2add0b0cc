"""Filling the store: from interfaces or from a file, one at a time, and saying at display rate that it has grown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from ipl_tui.capture.errors import CaptureError
from ipl_tui.capture.store import Store

if TYPE_CHECKING:  # they load Scapy, which the first screen must not wait for
    from ipl_tui.capture.files import Pipe
    from ipl_tui.capture.sniffer import CaptureSocket, Sniffer

FRAMES_A_SECOND = 14
"""Most times a second that the store's growth is told."""

GATHER = 0.01
"""Seconds from the first packet after a silence to saying so: its answer is mostly there by then."""


class Recording:
    """The one writer of a store. Its coroutines are for one event loop; each waits until the one before has ended."""

    def __init__(self, store: Store, on_grown: Callable[[], None]) -> None:
        """on_grown is called in the event loop."""
        self.sniffer: Sniffer | None = None
        """Sniffer that captures now; None while nothing is captured."""
        self.writing = asyncio.Lock()
        """Held by the one writer, in the order in which they came."""
        self._store = store
        self._on_grown = on_grown
        self._dropped = 0

    def dropped(self) -> int:
        """Frames the kernel has dropped so far, also on what was captured on before."""
        return self._dropped + (self.sniffer.dropped() if self.sniffer is not None else 0)

    async def capture(
        self,
        open_socket: Callable[[], CaptureSocket],
        names: list[str],
        filter: str,
        on_begin: Callable[[list[int]], None],
        on_ready: Callable[[], None],
    ) -> None:
        """Capture from a socket, on the interfaces of these names, until it is cancelled or ends by itself.

        on_begin gets the store's numbers for the interfaces, before the first frame; on_ready is called when frames are
        being captured. Raises CaptureError when it can't be opened, and when it ends.
        """
        from ipl_tui.capture.sniffer import Sniffer

        loop, grown = asyncio.get_running_loop(), asyncio.Event()
        ended: asyncio.Future[CaptureError | None] = loop.create_future()
        async with self.writing:
            socket = await asyncio.to_thread(open_socket)
            try:
                numbers = [self._store.add_interface(name, socket.linktype, filter) for name in names]
            except CaptureError:
                socket.close()
                raise
            on_begin(numbers)
            sniffer = self.sniffer = Sniffer(
                socket,
                self._store,
                numbers,
                on_grown=partial(_set_in_loop, loop, grown),
                on_end=lambda reason: loop.call_soon_threadsafe(ended.set_result, reason),
            )
            sniffer.start()
            try:
                while not sniffer.ready.is_set() and sniffer.running:
                    await asyncio.sleep(0.01)
                on_ready()
                await self._tell(grown, ended)
            finally:
                await asyncio.shield(asyncio.to_thread(sniffer.stop))
                self._dropped += sniffer.dropped()
                self.sniffer = None
            raise ended.result() or CaptureError("The capture ended.")

    async def read(self, source: Path | Pipe, filter: str, stop: Event) -> None:
        """Read a file to its end, or a pipe for as long as it is open; setting `stop` ends it. Raises CaptureError."""
        from ipl_tui.capture.files import read_capture

        loop, grown = asyncio.get_running_loop(), asyncio.Event()
        async with self.writing:
            reading = asyncio.create_task(
                asyncio.to_thread(read_capture, source, self._store, filter, lambda _: _set_in_loop(loop, grown), stop)
            )
            await self._tell(grown, reading)
            await reading
            if not stop.is_set():
                self._store.begin()

    async def _tell(self, grown: asyncio.Event, ended: asyncio.Future[Any]) -> None:
        """Say what comes into the store, at display rate, until the end."""
        while not ended.done():
            was_quiet = not grown.is_set()
            wake = asyncio.ensure_future(grown.wait())
            try:
                await asyncio.wait((wake, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                wake.cancel()
            if was_quiet:
                await asyncio.sleep(GATHER)
            grown.clear()
            self._on_grown()
            await asyncio.sleep(1 / FRAMES_A_SECOND)


def _set_in_loop(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event from another thread; the loop is not woken for one that is set."""
    if not event.is_set():
        loop.call_soon_threadsafe(event.set)
