"""One at a time: locks between the processes of one checkout."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from .folders import MADE
from .progress import Refusal, say


@contextmanager
def alone(name: str, otherwise: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of this name.

    :raise Refusal: with the sentence `otherwise` when another process holds it and `wait` is not
        set; else the sentence is printed and the lock waited for.
    """
    MADE.mkdir(exist_ok=True)
    with (MADE / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise Refusal(otherwise) from None
            say(otherwise)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
