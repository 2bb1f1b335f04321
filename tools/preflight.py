"""What the machine must offer before anything is made."""

import shutil
import sys

from .folders import MADE, ROOT
from .progress import Refusal
from .python_environment import lock
from .stamps import STAMPS

NEEDED_SPACE = 4 * 10**9  # bytes: packages, Odoo unpacked, databases


def check_system() -> None:
    """:raise Refusal: on a system or a Python that is not supported."""
    if not sys.platform.startswith("linux"):
        raise Refusal(
            f"{sys.platform} is not supported: use Debian 12 or newer, Ubuntu 24.04 or newer, or"
            " the Docker files."
        )
    lock()


def check_space() -> None:
    """:raise Refusal: when the set-up is not done yet and the disk has no room for it."""
    if (STAMPS / "template").exists():
        return
    free = shutil.disk_usage(MADE if MADE.exists() else ROOT).free
    if free < NEEDED_SPACE:
        raise Refusal(
            f"{free / 10**9:.1f} GB are free where this checkout is, and 4 GB are needed:"
            " make room, or move the checkout."
        )
