"""A simulator as a process of its own, from Python: for tests and for whoever starts a demo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .control import LOOPBACK, Control

PACKAGE = Path(__file__).parent


@contextmanager
def running(site: Path, *options: str) -> Iterator[Control]:
    """Run a site file on a free control port until the block ends; yields its control.

    options: those of `python -m simulator run`. Raises RuntimeError when it does not come up; what
    it has to say stands on stderr.
    """
    command = [sys.executable, "-m", PACKAGE.name, "run", str(site), "--control", "0", *options]
    with subprocess.Popen(
        command, cwd=PACKAGE.parent, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            ready = process.stdout.readline()
            if not ready:
                raise RuntimeError(f"the simulator ended with code {process.wait()}")
            with Control(LOOPBACK, json.loads(ready)["control"]) as control:
                yield control
        finally:
            process.terminate()
