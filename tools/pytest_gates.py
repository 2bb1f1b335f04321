"""The gates of a pytest run (loaded by conftest.py).

- A test during which Odoo logs a WARNING or worse fails, unless the line is on the list of
  tools/log_gate.py or the test declares it (`assertLogs`, `mute_logger`).
- Tests that were not run are named at the end, loudly.
- With `--every-folder` the run fails unless each folder given ran a test.
"""

import logging
import os
from pathlib import Path

import hypothesis
import pytest

from . import log_gate, system_packages

# Time-outs of single examples say more about the load of the machine than about the code. Examples
# are new ones in each run, but with CI set the same ones for the same tests: a law that fails there
# fails everywhere, and because of the change that is tested.
hypothesis.settings.register_profile(
    "house", deadline=None, print_blob=True, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("house")


class _Collector(logging.Handler):
    """Keeps the records that a test must answer for."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        watched = record.name.startswith("odoo") or record.name == "py.warnings"
        if watched and not log_gate.is_allowed(record.name, record.getMessage()):
            self.records.append(record)

    def take(self) -> list[logging.LogRecord]:
        taken, self.records = self.records, []
        return taken


_collector = _Collector()
_ran: set[Path] = set()
_has_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-folder",
        action="store_true",
        help="fail unless at least one test ran in each folder given",
    )


def pytest_configure(config: pytest.Config) -> None:
    logging.getLogger().addHandler(_collector)


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = system_packages.missing()
    for marker in item.iter_markers("needs"):
        for package in marker.args:
            if package not in system_packages.PACKAGES:
                raise pytest.UsageError(f"{item.nodeid} needs an unknown package {package!r}")
            if package in missing:
                pytest.skip(f"needs the Debian package {package}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if report.failed:
        item.stash[_has_failed] = True
    if call.when == "call" and not report.skipped:
        _ran.add(item.path)
    if call.when != "teardown":
        return report
    if (records := _collector.take()) and not item.stash.get(_has_failed, False):
        formatter = logging.Formatter("%(levelname)s %(name)s: %(message)s")
        lines = "\n".join(formatter.format(record) for record in records)
        report.outcome = "failed"
        report.longrepr = f"Odoo logged what the test did not declare:\n{lines}"
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and _empty_folders(session.config):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def _empty_folders(config: pytest.Config) -> list[str]:
    if not config.getoption("--every-folder"):
        return []
    folders = [Path(argument).resolve() for argument in config.args]
    return [str(folder) for folder in folders if not any(folder in path.parents for path in _ran)]


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section(f"{len(skipped)} TESTS WERE NOT RUN", red=True, bold=True)
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.write_line(f"{report.nodeid}: {reason}", red=True)
    for folder in _empty_folders(config):
        terminalreporter.section(f"NO TEST RAN IN {folder}", red=True, bold=True)
