"""Fetch packages of the Debian archive, verified by its signature, without installing anything.

apt works here on a sources list, package lists and a cache of its own under `.dev`, so neither
root nor a change to the system is needed. The mirror is the one that the system's apt already
uses; `DEBIAN_MIRROR` names another.
"""

import functools
import os
import re
import shutil
import time
from pathlib import Path

from . import system_packages
from .commands import run
from .folders import DOWNLOADS
from .progress import Refusal, step

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Written by the package python-apt-common, which Ubuntu brings along.
APT_TEMPLATE = Path("/usr/share/python-apt/templates/Debian.info")
SUITES = ("sid", "bookworm")
LISTS_LAST = 6 * 3600  # seconds


def mirror() -> str:
    """The address of a Debian mirror.

    :raise Refusal: when neither the system nor the user names one.
    """
    if named := os.environ.get("DEBIAN_MIRROR"):
        return named.rstrip("/") + "/"
    listed = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        why_failed="The system's apt sources cannot be read.",
    )
    addresses = [line for line in listed.split() if re.search(r"/debian/?$", line)]
    if not addresses and APT_TEMPLATE.is_file():
        addresses = re.findall(r"^BaseURI:\s*(\S+/debian/?)$", APT_TEMPLATE.read_text(), re.M)
    if not addresses:
        raise Refusal(
            "No Debian mirror is known to this system: set DEBIAN_MIRROR to the address of one"
            " (it ends in /debian), or ODOO_HOME to the folder of an Odoo 19 you have."
        )
    return addresses[0].rstrip("/") + "/"


def _apt_options(home: Path) -> list[str]:
    options = {
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": home / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": home / "cache",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "Acquire::Retries": "3",
    }
    return [part for name, value in options.items() for part in ("-o", f"{name}={value}")]


@functools.cache
def _private_apt() -> tuple[Path, list[str]]:
    """The folder and the options of an apt of our own, its package lists up to date."""
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Refusal(
                f"This system has no {program}, so Odoo cannot be fetched from the Debian archive:"
                " set ODOO_HOME to the folder of an Odoo 19 you have."
            )
    if not KEYRING.is_file():
        # Ubuntu does not bring the keys of the Debian archive along.
        system_packages.install("debian-archive-keyring")
    home = DOWNLOADS / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    sources = "".join(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n" for suite in SUITES)
    listing = home / "sources.list"
    fresh = (
        listing.is_file()
        and listing.read_text() == sources
        and time.time() - listing.stat().st_mtime < LISTS_LAST
    )
    if not fresh:
        listing.write_text(sources)
        with step("Reading the package lists of the Debian archive"):
            try:
                run(
                    [
                        "apt-get",
                        *_apt_options(home),
                        "-qq",
                        "-o",
                        "APT::Update::Error-Mode=any",
                        "update",
                    ],
                    why_failed="The Debian archive cannot be reached (is there a network?), or its"
                    " signature does not verify.",
                )
            except Refusal:
                listing.unlink()
                raise
    return home, _apt_options(home)


def fetch(*packages: str) -> list[Path]:
    """Download packages (`name` of sid, or `name/suite`) and return their files.

    :raise Refusal: when one cannot be had or does not match its signed hash.
    """
    _home, options = _private_apt()
    files = []
    for package in packages:
        folder = DOWNLOADS / "packages" / package.partition("/")[0]
        if not (found := sorted(folder.glob("*.deb"))):
            partial = folder.with_suffix(".partial")
            partial.mkdir(parents=True, exist_ok=True)
            wanted = package if "/" in package else f"{package}/sid"
            with step(f"Downloading {package}"):
                run(
                    ["apt-get", *options, "-qq", "download", wanted],
                    cwd=partial,
                    why_failed=f"The package {package} could not be downloaded.",
                )
            partial.rename(folder)
            found = sorted(folder.glob("*.deb"))
        files.append(found[0])
    return files


def unpack(packages: list[Path], prefix: Path) -> None:
    for package in packages:
        with step(f"Unpacking {package.name.partition('_')[0]}"):
            run(
                ["dpkg-deb", "-x", package, prefix],
                why_failed=f"{package.name} could not be unpacked (is the disk full?).",
            )
