"""Debian packages that tests and PDF reports need: installed where that is allowed.

Nothing else needs root. Where these cannot be installed, the tests that need them are skipped with
a reason, and the end of the run names them (tests/conftest.py).
"""

import os
import shutil
import subprocess
from pathlib import Path

from .commands import run
from .progress import Refusal, complain, step

CHROMIUM = "/usr/bin/chromium"
CHINESE_FONTS = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")


def _has(program: str) -> bool:
    return shutil.which(program) is not None


# Package: whether it is there already, and what it is for.
PACKAGES = {
    "chromium": (lambda: Path(CHROMIUM).exists(), "browser tests"),
    "wkhtmltopdf": (lambda: _has("wkhtmltopdf"), "PDF documents"),
    "fonts-noto-cjk": (CHINESE_FONTS.exists, "Chinese in PDF documents and pictures"),
    "mbpoll": (lambda: _has("mbpoll"), "reading the simulator by an independent client"),
}


def missing() -> dict[str, str]:
    """The packages that are not there, and what each is for.

    `PREPAID_ENERGY_WITHOUT` names packages to do without, separated by commas.
    """
    unwanted = os.environ.get("PREPAID_ENERGY_WITHOUT", "").split(",")
    return {
        name: about
        for name, (is_there, about) in PACKAGES.items()
        if name in unwanted or not is_there()
    }


def _as_root() -> list[str] | None:
    """The prefix that runs a command as root; None where that is not allowed."""
    if os.geteuid() == 0:
        return []
    if _has("sudo"):
        allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        if allowed.returncode == 0:
            return ["sudo", "-n"]
    return None


def install(*packages: str) -> None:
    """Install packages by apt; each on its own, since a system may lack one of them.

    :raise Refusal: where the user may not, or when one cannot be installed.
    """
    prefix = _as_root()
    if prefix is None or not _has("apt-get"):
        raise Refusal(f"These packages are needed, install them as root: {' '.join(packages)}.")
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    run([*apt, "update"], why_failed="The system's package lists cannot be read.")
    failed = []
    for package in packages:
        try:
            with step(f"Installing the Debian package {package}"):
                run(
                    [*apt, "install", "--yes", "--no-install-recommends", package],
                    why_failed=f"{package} could not be installed.",
                )
        except Refusal as refusal:
            failed.append(str(refusal))
    if failed:
        raise Refusal("\n".join(failed))


def ensure() -> None:
    """Install what is missing, where the user may; say loudly what stays missing."""
    wanted = [name for name, (is_there, _about) in PACKAGES.items() if not is_there()]
    if wanted:
        try:
            install(*wanted)
        except Refusal as refusal:
            complain(str(refusal))
    for name, about in missing().items():
        complain(f"NOT AVAILABLE: {name} ({about}); tests that need it will not run.")
