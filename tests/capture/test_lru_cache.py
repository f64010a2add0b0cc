"""What was used last is kept, and no more than there is room for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.capture.lru_cache import LruCache


def test_what_was_not_used_for_longest_makes_room() -> None:
    recent: LruCache[str] = LruCache(3)
    for number in (1, 2, 3):
        recent.put(number, f"value {number}")
    assert recent.get(1) == "value 1"
    recent.put(4, "value 4")
    assert [recent.get(number) for number in (1, 2, 3, 4)] == ["value 1", None, "value 3", "value 4"]


def test_sizes_count_and_what_is_too_large_is_kept_alone() -> None:
    recent: LruCache[str] = LruCache(10)
    recent.put(1, "small", 4)
    recent.put(2, "small", 6)
    assert len(recent) == 2
    recent.put(1, "it grew", 5)
    assert (recent.get(1), recent.get(2)) == ("it grew", None)
    recent.put(3, "huge", 99)
    assert (len(recent), recent.get(3)) == (1, "huge")
    recent.clear()
    recent.put(4, "new", 10)
    assert (recent.get(3), recent.get(4)) == (None, "new")


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(1, 9), st.integers(1, 8))))
def test_there_is_never_more_than_fits(room: int, puts: list[tuple[int, int]]) -> None:
    recent: LruCache[int] = LruCache(room)
    sizes = {}
    for number, size in puts:
        recent.put(number, size, size)
        sizes[number] = size
        assert recent.get(number) == size
        kept = [held for each in sizes if (held := recent.get(each)) is not None]
        assert len(kept) == len(recent) and (sum(kept) <= room or len(kept) == 1)
