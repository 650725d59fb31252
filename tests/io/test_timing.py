"""Timing: interleaved, without warm-up, synchronised with the device."""

import pytest

from facehall.io import timing


@pytest.fixture
def clock(monkeypatch):
    """A clock that is advanced by tasks."""

    class Clock:
        now = 0.0

        def task(self, log, name, durations):
            durations = iter(durations)

            def run():
                log.append(name)
                self.now += next(durations)

            return run

    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_tasks_are_interleaved_and_warm_up_is_excluded(clock):
    log: list[str] = []
    tasks = {"a": clock.task(log, "a", [9, 1, 2, 4]), "b": clock.task(log, "b", [9, 3, 3, 3])}
    found = timing.interleaved(tasks, rounds=3, advance=lambda: log.append("|"))
    assert "".join(log) == "ab|ab|ab|ab|"
    assert found == {"a": [1, 2, 4], "b": [3, 3, 3]}
    assert timing.medians(found) == {"a": 2, "b": 3}
    assert timing.ratio(found["b"], found["a"]) == 1.5


def test_the_device_is_synchronised(clock):
    """Work queued before the task is excluded; work queued by the task is included."""
    queued = [5.0]

    def synchronize():
        clock.now += sum(queued)
        queued.clear()

    assert timing.seconds(lambda: queued.append(2.0), synchronize) == 2.0


def test_nothing_to_measure_is_an_error():
    with pytest.raises(ValueError, match="rounds must be at least 1, not 0"):
        timing.interleaved({"a": lambda: None}, rounds=0)
