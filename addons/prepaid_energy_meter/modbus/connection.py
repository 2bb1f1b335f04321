"""Bytes of one connection: gathers exactly one answer for exactly one request."""

import asyncio
from collections.abc import Callable

from .errors import NoAnswer, WrongAnswer
from .framing import Asked, Framing


class Connection(asyncio.Protocol):
    """One socket or one opened serial line.

    ``broken``: it can no longer be used. ``in_doubt``: bytes came that nobody had asked for.
    """

    def __init__(self, framing: Framing) -> None:
        self.broken = False
        self.in_doubt = False
        self._framing = framing
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._asked: Asked | None = None
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._heard: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timeout = 0.0
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.broken = True
        if self._watch is not None:
            self._watch.cancel()
        self._fail(NoAnswer(f"the gateway closed the connection{f': {error}' if error else ''}"))

    def abort(self) -> None:
        self.broken = True
        if self._transport is not None:
            self._transport.abort()

    async def drain(self, quiet: float, most: float) -> bool:
        """Throw away what comes until ``quiet`` seconds passed without a byte.

        :return: False when after ``most`` seconds bytes still come
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + most
        heard = asyncio.Event()
        self._heard = heard.set
        try:
            while not self.broken:
                heard.clear()
                if loop.time() + quiet > until:
                    return False
                try:
                    async with asyncio.timeout(quiet):
                        await heard.wait()
                except TimeoutError:
                    return True
            return True
        finally:
            self._heard = None

    def ask(
        self, asked: Asked, timeout: float, on_sent: Callable[[], None] | None = None
    ) -> asyncio.Future[tuple[bytes, bytes]]:
        """Send a request; await the answer's PDU and its frame as received.

        :raise NoAnswer, WrongAnswer: the connection must be dropped
        """
        if self.broken:
            raise NoAnswer("the gateway closed the connection")
        self._buffer = b""
        self._asked = asked
        self._answer = answer = self._loop.create_future()
        try:
            self._transport.write(asked.frame)
            if on_sent is not None:
                on_sent()
        except BaseException:
            # Nobody waits for the answer: should it come, it must raise doubt.
            self._answer = None
            raise
        self._let_watch(timeout)
        return answer

    def _let_watch(self, timeout: float) -> None:
        """Have the answer's end watched. One timer serves many requests: when it ends it looks
        at the last one's deadline, and goes on where that has moved."""
        self._timeout = timeout
        self._deadline = self._loop.time() + timeout
        if self._watch is not None:
            if self._watch.when() <= self._deadline:
                return
            self._watch.cancel()
        self._watch = self._loop.call_at(self._deadline, self._look_at_watch)

    def _look_at_watch(self) -> None:
        self._watch = None
        if self._answer is None or self._answer.done():
            return
        if self._loop.time() < self._deadline:
            self._watch = self._loop.call_at(self._deadline, self._look_at_watch)
        else:
            self._time_out(self._asked.unit, self._timeout)

    def data_received(self, data: bytes) -> None:
        if self._heard is not None:
            self._heard()
            return
        if self._answer is None or self._answer.done():
            # Nobody asked: whatever it is, the next answer could not be told from it.
            self.in_doubt = True
            self.abort()
            return
        self._buffer += data
        try:
            pdu = self._framing.answer(self._buffer, self._asked)
        except WrongAnswer as error:
            self._fail(error)
            return
        if pdu is not None:
            self._answer.set_result((pdu, self._buffer))

    def _time_out(self, unit: int, timeout: float) -> None:
        came = f", only {self._buffer[:32].hex(' ')}" if self._buffer else ""
        self._fail(NoAnswer(f"unit {unit}: no answer in {timeout:g} s{came}"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
