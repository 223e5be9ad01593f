from __future__ import annotations

import pytest

from recloser._core.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (0.0004567, "0.000457 s"),
        (12.345, "12.3 s"),
        (99.94, "99.9 s"),
        (100.0, "100 s"),
        (1234.5678, "1235 s"),
        (86_400.0, "86400 s"),
    ],
)
def test_duration_has_as_many_digits_as_a_person_reads(
    seconds: float, words: str
) -> None:
    assert in_words(seconds) == words
