"""The virtual environment, installed from the hashed lock of this Python's version."""

import os
import re
import shutil
import sys
import tempfile
import venv
from importlib.util import find_spec
from pathlib import Path

from . import debian_archive, odoo_source
from .commands import run
from .folders import PYTHON, ROOT, VENV
from .progress import Refusal, say, step
from .stamps import digest, is_done, mark_done

SUPPORTED = ((3, 11), (3, 12), (3, 13))
# These have no wheel on the index and are built here, with the setuptools of the lock.
BUILT_HERE = "docopt,ofxparse"


def lock() -> Path:
    """The lock of the running Python.

    :raise Refusal: when this version of Python is not supported.
    """
    version = sys.version_info[:2]
    if version not in SUPPORTED:
        raise Refusal(
            f"Python {version[0]}.{version[1]} is not supported: start ./dev with Python 3.11,"
            " 3.12 or 3.13 (for example `python3.12 dev demo`)."
        )
    return ROOT / "requirements" / f"lock-{version[0]}.{version[1]}.txt"


def _lock_entries(content: str, name: str) -> str:
    """The entries of a lock for one package, with their hashes."""
    entries = re.split(r"\n(?=\S)", content)
    return "\n".join(entry for entry in entries if entry.startswith(f"{name}=="))


def _create() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    if find_spec("ensurepip") is not None:
        venv.create(VENV, with_pip=True, symlinks=True)
        return
    # Debian's bare python3: pip comes from its own wheel, in a package signed by the archive.
    venv.create(VENV, with_pip=False, symlinks=True)
    package = debian_archive.fetch("python3-pip-whl")
    with tempfile.TemporaryDirectory() as folder:
        debian_archive.unpack(package, Path(folder))
        wheel = next(Path(folder).rglob("pip-*.whl"))
        run(
            [PYTHON, "-m", "pip", "install", "--quiet", "--no-index", wheel],
            env={"PYTHONPATH": str(wheel)},
            why_failed="pip could not be installed into the virtual environment.",
        )


def _install() -> None:
    pip = [
        PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--no-deps", "--only-binary=:all:",
    ]  # fmt: skip
    why = "The Python packages could not be installed (is there a network?)."
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as builder:
        builder.write(_lock_entries(lock().read_text(), "setuptools"))
        builder.flush()
        run([*pip, "-r", builder.name], why_failed=why)
    run(
        [*pip, f"--no-binary={BUILT_HERE}", "--no-build-isolation", "-r", lock()],
        why_failed=why,
    )


def _link_odoo() -> None:
    """Let `import odoo` find Odoo, by a path file."""
    library = VENV / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (library / "site-packages" / "odoo-19.pth").write_text(f"{odoo_source.home()}\n")


def ensure() -> None:
    """Make the virtual environment, and let it see Odoo."""
    key = digest(lock(), sys.version_info[:2], str(VENV))
    if not (is_done("venv", key) and PYTHON.exists()):
        with step("Installing the Python packages into .dev/venv"):
            _create()
            _install()
        mark_done("venv", key)
    _link_odoo()


def enter(arguments: list[str]) -> None:
    """Run `./dev` again by the Python of the virtual environment, unless it is the one."""
    if Path(sys.prefix).resolve() != VENV.resolve():
        os.execv(PYTHON, [str(PYTHON), str(ROOT / "dev"), *arguments])


def relock() -> None:
    """Write the hashed locks anew from requirements-dev.txt; needs `uv` on the path.

    The index is the ordinary one, whatever this machine is set to.
    """
    if not shutil.which("uv"):
        raise Refusal("`uv` is not on the path; it writes the locks for all Python versions.")
    for major, minor in SUPPORTED:
        version = f"{major}.{minor}"
        target = ROOT / "requirements" / f"lock-{version}.txt"
        run(
            ["uv", "pip", "compile", "--no-config", "--quiet", "--upgrade", "--generate-hashes",
             "--no-header", "--no-annotate", "--python-version", version,
             "--python-platform", "x86_64-manylinux_2_28",
             "requirements-dev.txt", "--output-file", target],
            cwd=ROOT,
            why_failed=f"The lock for Python {version} could not be made.",
        )  # fmt: skip
        say(f"wrote {target.relative_to(ROOT)}")
