"""Start processes, wait until they are ready, watch them, and stop all of them.

Used by the demo and by the whole-system tests. A process gets a session of its own, so that its
children end with it, and is told to end when its starter dies.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .folders import ROOT
from .progress import Refusal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _end_with_starter() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A running process whose output goes to a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [str(part) for part in command],
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_starter,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """The exit status (minus the signal's number when killed); None while it runs."""
        return self._popen.poll()

    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 10) -> str:
        return "\n".join(f"    {line}" for line in self.text().splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `ready()` is true.

        :raise Refusal: when the process ends before, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.status is not None:
                raise Refusal(f"{self.name} ended with status {self.status}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Refusal(f"{self.name} was not ready in {seconds:.0f} s:\n{self.tail()}")
            self._wait(0.1)

    def wait_for_text(self, text: str, seconds: float = 60) -> None:
        """Wait until it has printed this text."""
        self.wait_until(lambda: text in self.text(), seconds)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit status.

        :raise subprocess.TimeoutExpired: when it still runs then.
        """
        return self._popen.wait(seconds)

    def _wait(self, seconds: float) -> bool:
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End it as a power cut would, children too."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, seconds: float = 15) -> int:
        """Ask it to end, and make it end when it does not; return the exit status."""
        if self.status is None:
            self.signal(signal.SIGTERM)
            if not self._wait(seconds):
                self.signal(signal.SIGKILL)
        status = self._popen.wait()
        self.signal(signal.SIGKILL)
        return status


def watch(processes: Sequence[Process]) -> Process:
    """Wait until one of the processes ends, and return it."""
    watched = {os.pidfd_open(process.pid): process for process in processes}
    try:
        ended, _, _ = select.select(list(watched), [], [])
        return watched[ended[0]]
    finally:
        for descriptor in watched:
            os.close(descriptor)


def stop_all(processes: Sequence[Process]) -> None:
    """Stop the processes, the one started last first."""
    for process in reversed(processes):
        process.stop()


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    """Whether a web address answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
