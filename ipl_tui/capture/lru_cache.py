"""A cache of bounded size that drops what was used longest ago."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LruCache(Generic[Value]):
    """Values by number, those that were used last; empty at first. Any thread may ask."""

    def __init__(self, room: int) -> None:
        """`room` is how much their sizes may be together; the one that was put in last is kept in any case."""
        self._room = room
        self._used = 0
        self._values: OrderedDict[int, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, number: int) -> Value | None:
        """The value of a number; None if it is not kept."""
        with self._lock:
            if number not in self._values:
                return None
            self._values.move_to_end(number)
            return self._values[number][0]

    def put(self, number: int, value: Value, size: int = 1) -> None:
        """Keep a value in place of what the number had; those that were not used for longest make room."""
        with self._lock:
            _, before = self._values.pop(number, (None, 0))
            self._values[number] = value, size
            self._used += size - before
            while self._used > self._room and len(self._values) > 1:
                _, (_, freed) = self._values.popitem(last=False)
                self._used -= freed

    def clear(self) -> None:
        """Keep nothing of what was put in so far."""
        with self._lock:
            self._values.clear()
            self._used = 0
