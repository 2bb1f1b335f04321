"""The bytes of one attempt, kept short: equal exchanges in a row are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .client import GatewayClient

#: A valve that takes minutes is looked at a hundred times; the first and the last tell.
MOST_EXCHANGES = 24


@dataclass(frozen=True)
class Frames:
    """(request, response, how often) of exchanges, oldest first; hexadecimal, or why none came."""

    exchanges: tuple[tuple[str, str, int], ...] = ()

    def plus(self, request: str, response: str) -> Frames:
        kept = self.exchanges
        if kept and kept[-1][:2] == (request, response):
            return Frames((*kept[:-1], (request, response, kept[-1][2] + 1)))
        if len(kept) >= MOST_EXCHANGES:
            half = MOST_EXCHANGES // 2
            kept = (*kept[:half], *kept[half + 1 :])
        return Frames((*kept, (request, response, 1)))

    def text(self) -> str:
        """One line for each frame: → as sent, ← as received."""
        lines = []
        for request, response, count in self.exchanges:
            times = f" ×{count}" if count > 1 else ""
            lines += [f"→ {request}{times}", f"← {response}"]
        return "\n".join(lines)


NO_FRAMES = Frames()


class Recorder:
    """What a client tells its exchanges to."""

    def __init__(self, frames: Frames):
        self.frames = frames

    def __call__(self, request: bytes, response: bytes | str) -> None:
        came = response if isinstance(response, str) else response.hex(" ")
        self.frames = self.frames.plus(request.hex(" "), came)


@contextmanager
def recording(client: GatewayClient, frames: Frames) -> Iterator[Recorder]:
    """Gather what ``client`` exchanges while the block lasts, after what ``frames`` has."""
    recorder = Recorder(frames)
    client.heard = recorder
    try:
        yield recorder
    finally:
        client.heard = None
