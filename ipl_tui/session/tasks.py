"""The lab's concurrent tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Coroutines of one event loop that go on beside each other until all are ended; a fault in one ends all."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._fault: BaseException | None = None

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Let one more go on."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._has_ended)
        return task

    def end(self) -> None:
        """Cancel all of them, now or as soon as they are waited for."""
        self._ending.set()

    async def wait(self) -> None:
        """Wait until they are ended, and have ended. Raises what one of them raised first."""
        try:
            await self._ending.wait()
        finally:
            tasks = list(self._under_way)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._fault is not None:
            raise self._fault

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = self._fault or fault
            self._ending.set()
