"""What the tools say while they work, and how they refuse."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """A reason to stop that the user can do something about: one clear sentence."""


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print the title of a long step, and how long it took."""
    started = time.monotonic()
    print(f"{title} ...", end=" ", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:.0f} s", flush=True)


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
