"""Results kept for the last keys."""

from facehall.io.recent import Recent


def test_recent_results_are_reused_and_bounded():
    recent, made = Recent(2), []
    for key in (1, 1, 2, 1, 3, 1, 2):
        assert recent.get(key, lambda key=key: made.append(key) or key) == key
    assert made == [1, 2, 3, 2]
