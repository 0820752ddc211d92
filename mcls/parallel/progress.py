"""The callback by which long stages report their progress."""

from collections.abc import Callable

#: ``progress(done, total, seconds)``: items done, items in all, seconds of audio in those done.
Progress = Callable[[int, int, float], None]
