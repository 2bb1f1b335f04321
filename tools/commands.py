"""Run other programs, and show what they said when they fail."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .progress import Refusal


def run(
    command: Sequence[str | Path],
    *,
    why_failed: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> str:
    """Run quietly and return the standard output.

    :raise Refusal: with `why_failed` and the end of what the program said, when it fails.
    """
    rights = {"user": user, "group": 65534, "extra_groups": ()} if user else {}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **rights,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Refusal("\n".join([why_failed, *(f"    {line}" for line in said[-12:])]))
    return done.stdout
