"""The gates of a pytest run, tried on small suites of their own."""

import pytest

from tools.folders import ROOT

LOGS = """
import logging, unittest

class TestLog(unittest.TestCase):
    def test_undeclared(self):
        logging.getLogger("odoo.addons.x").warning("it leaks")

    def test_declared(self):
        with self.assertLogs("odoo.addons.x", "WARNING"):
            logging.getLogger("odoo.addons.x").warning("it leaks")

    def test_information(self):
        logging.getLogger("odoo.addons.x").info("all is well")
"""
NEEDS = """
import pytest

@pytest.mark.needs("chromium")
def test_browser():
    pass

def test_other():
    pass
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Run pytest with the gates on one file."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(source, *options):
        folder = pytester.mkdir("suite")
        (folder / "test_it.py").write_text(source)
        pytester.makeini("[pytest]\nmarkers = needs: a package")
        return pytester.runpytest_subprocess(
            "-p", "no:odoo", "-p", "tools.pytest_gates", *options, "suite"
        )

    return run


def test_only_the_undeclared_warning_fails(suite):
    result = suite(LOGS)
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR*test_undeclared*", "*odoo.addons.x: it leaks*"])


def test_what_was_not_run_is_named(suite, monkeypatch):
    monkeypatch.setenv("PREPAID_ENERGY_WITHOUT", "chromium")
    result = suite(NEEDS)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*1 TESTS WERE NOT RUN*", "*needs the Debian package chromium*"])


def test_an_unknown_package_is_an_error(suite):
    result = suite(NEEDS.replace("chromium", "chrome"))
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*unknown package 'chrome'*"])


def test_a_folder_without_a_test_that_ran_fails(suite):
    skipped = "import pytest\n\ndef test_it():\n    pytest.skip('no')\n"
    assert suite(skipped, "--every-folder").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_folder_with_a_test_that_ran_passes(suite):
    assert suite("def test_it():\n    pass\n", "--every-folder").ret == pytest.ExitCode.OK
