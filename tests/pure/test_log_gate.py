"""The log gate stops what it must and lets through only what it names."""

from tools.log_gate import complaints

INFO = "2026-11-22 21:26:10,082 7289 INFO db odoo.registry: Registry loaded in 37.4s "


def _line(level, logger, message):
    return f"2026-11-22 21:26:10,082 7289 {level} db {logger}: {message} "


def test_a_clean_log_passes():
    assert complaints([INFO, "a line of a traceback", ""]) == []


def test_warnings_and_worse_are_stopped():
    lines = [_line(level, "odoo.models", "x") for level in ("WARNING", "ERROR", "CRITICAL")]
    assert complaints([INFO, *lines]) == lines


def test_a_traceback_stays_with_its_line():
    error = _line("ERROR", "odoo.models", "x")
    assert complaints([error, "Traceback", "  at a", INFO, "of the information"]) == [
        f"{error}\nTraceback\n  at a"
    ]


def test_failed_demo_data_are_stopped():
    line = _line(
        "WARNING",
        "odoo.modules.loading",
        "Module a demo data failed to install, installed without demo data",
    )
    assert complaints([line]) == [line]


def test_a_warning_of_python_is_stopped():
    lines = [
        "/usr/lib/x.py:12: DeprecationWarning: old",
        _line("WARNING", "py.warnings", "/usr/lib/x.py:12: DeprecationWarning: old"),
    ]
    assert complaints(lines) == lines


def test_the_missing_extension_is_let_through_from_its_own_logger_only():
    message = "bad query: b'CREATE EXTENSION IF NOT EXISTS pg_trgm'"
    assert complaints([_line("ERROR", "odoo.sql_db", message)]) == []
    assert len(complaints([_line("ERROR", "odoo.models", message)])) == 1
    assert len(complaints([_line("ERROR", "odoo.sql_db", "bad query: b'SELECT pg_trgm'")])) == 1
