"""Least-recently-used eviction."""

import os

import pytest

from facehall.io.eviction import LRU, file_stats, remove_oldest


def test_the_least_recently_used_value_is_evicted():
    kept: LRU[str, int] = LRU(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert ("a" in kept, "b" in kept, "c" in kept) == (True, False, True)
    assert kept.get("b") is None
    assert len(kept) == 2


def test_sizes_count_and_too_large_values_are_not_stored():
    kept: LRU[str, bytes] = LRU(10, size=len)
    kept.put("a", b"x" * 6)
    kept.put("large", b"x" * 11)
    assert "large" not in kept
    assert "a" in kept
    kept.put("a", b"x" * 3)  # replaces the six bytes
    kept.put("b", b"x" * 7)
    assert "a" in kept
    kept.put("c", b"x" * 8)
    assert len(kept) == 1


@pytest.fixture
def files(tmp_path):
    """Five files of 10 bytes, modified at 0, 1, … seconds."""
    paths = [tmp_path / name for name in "abcde"]
    for time, path in enumerate(paths):
        path.write_bytes(b"x" * 10)
        os.utime(path, (time, time))
    return paths


def left(files):
    return "".join(path.name for path in files if path.exists())


@pytest.mark.parametrize(
    ("excess", "before", "removed", "expected"),
    [(0, 9, 0, "abcde"), (-5, 9, 0, "abcde"), (1, 9, 10, "bcde"), (20, 9, 20, "cde"), (99, 2, 20, "cde")],
)
def test_the_oldest_files_are_removed(files, excess, before, removed, expected):
    assert remove_oldest(file_stats(files[::-1]), excess, before) == removed
    assert left(files) == expected


def test_a_file_removed_by_another_process_is_skipped(files):
    found = file_stats([*files, files[0].with_name("gone")])
    files[0].unlink()
    assert remove_oldest(found, 20) == 20
    assert left(files) == "cde"
