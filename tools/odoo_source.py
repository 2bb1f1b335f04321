"""Odoo 19.0 itself: unpacked from the Debian archive, or a folder that the user names.

`ODOO_HOME` names an Odoo 19 the user has: a source checkout, or a folder that holds the Python
package `odoo`.
"""

import os
import re
import shutil
from pathlib import Path

from . import debian_archive
from .folders import DOWNLOADS, MADE, ODOO
from .progress import Refusal
from .stamps import digest, is_done, mark_done

# odoo-19 links to fonts and scripts of these by relative paths. Two fonts have moved their files
# in sid since; those of Debian 12 fit.
PACKAGES = (
    "odoo-19",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-glyphicons-halflings",
    "fonts-roboto-unhinted",
    "fonts-montserrat",
    "fonts-ocr-b",
    "fonts-dejavu-core",
    "fonts-font-awesome/bookworm",
    "fonts-inconsolata/bookworm",
)
VERSION = (19, 0)
# The package leaves this script out. Without any file there the web client logs an error, which
# fails every browser test; only the blurring of video calls would use it.
LEFT_OUT = "odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"


def home() -> Path:
    """The folder that holds the Python package `odoo`."""
    if named := os.environ.get("ODOO_HOME"):
        return Path(named).expanduser().resolve()
    return ODOO / "usr" / "lib" / "python3" / "dist-packages"


def addons_paths() -> list[Path]:
    """The folders with Odoo's own add-ons."""
    candidates = (home() / "odoo" / "addons", home() / "addons")
    # dist-packages/addons is a leftover of the Debian package; a source checkout has its own there.
    if not os.environ.get("ODOO_HOME"):
        return [candidates[0]]
    return [path for path in candidates if path.is_dir()]


def _version_at(folder: Path) -> tuple[int, int] | None:
    release = folder / "odoo" / "release.py"
    if not release.is_file():
        return None
    found = re.search(r"version_info\s*=\s*\((\d+),\s*(\d+)", release.read_text())
    return (int(found[1]), int(found[2])) if found else None


def dangling_links(prefix: Path) -> list[Path]:
    """Symbolic links below the prefix that lead nowhere."""
    return [
        Path(folder, name)
        for folder, folders, files in os.walk(prefix)
        for name in (*folders, *files)
        if Path(folder, name).is_symlink() and not Path(folder, name).exists()
    ]


def ensure() -> None:
    """Make Odoo 19.0 available; what was unpacked once is kept."""
    if os.environ.get("ODOO_HOME"):
        if _version_at(home()) != VERSION:
            raise Refusal(f"ODOO_HOME names {home()}, which holds no Odoo 19.0.")
        return
    key = digest(PACKAGES, LEFT_OUT)
    if is_done("odoo", key) and _version_at(home()) == VERSION:
        return
    partial = MADE / "odoo.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    debian_archive.unpack(debian_archive.fetch(*PACKAGES), partial)
    found = _version_at(partial / home().relative_to(ODOO))
    if found != VERSION:
        raise Refusal(
            f"The Debian archive now holds Odoo {found} instead of 19.0: set ODOO_HOME to the"
            " folder of an Odoo 19 you have."
        )
    # Links into documentation and licences of packages that are not unpacked do no harm.
    broken = [link for link in dangling_links(partial) if "/usr/share/doc" not in str(link)]
    if broken:
        listed = ", ".join(str(link.relative_to(partial)) for link in broken[:5])
        raise Refusal(f"The unpacked Odoo has {len(broken)} links that lead nowhere: {listed}.")
    left_out = partial / home().relative_to(ODOO) / LEFT_OUT
    left_out.parent.mkdir(parents=True, exist_ok=True)
    left_out.touch()
    shutil.rmtree(ODOO, ignore_errors=True)
    partial.rename(ODOO)
    shutil.rmtree(DOWNLOADS, ignore_errors=True)
    mark_done("odoo", key)
