"""Each house rule fires on what it forbids, and lets through what it allows."""

import pytest

from tools.house_rules import check_other, check_python, check_tree

ENGINE = "addons/prepaid_energy/engine/rating.py"
MODBUS = "addons/prepaid_energy_meter/modbus/client.py"
SIMULATOR = "addons/prepaid_energy_meter/simulator/site.py"
MODEL = "addons/prepaid_energy/models/energy_meter.py"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (ENGINE, "from odoo import models"),
        (ENGINE, "import odoo.tools"),
        (ENGINE, "def late():\n    import odoo"),
        (ENGINE, "import pymodbus"),
        (ENGINE, "from .. import clock"),
        (ENGINE, "from ..models import energy_meter"),
        (ENGINE, "import numpy as np"),
        (MODBUS, "import psycopg2"),
        (MODBUS, "from ..simulator import site"),
        (SIMULATOR, "from pymodbus.client import AsyncModbusTcpClient"),
        (SIMULATOR, "import psycopg2"),
        ("addons/prepaid_energy/engine/deep/part.py", "from ... import clock"),
    ],
)
def test_import_out_of_a_core_is_found(path, source):
    assert len(check_python(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (ENGINE, "import decimal\nfrom fractions import Fraction\nfrom . import rounding"),
        (ENGINE, "from .rounding import round_half_up"),
        (MODBUS, "from pymodbus.client import AsyncModbusTcpClient"),
        ("addons/prepaid_energy_meter/simulator/clock.py", "import psycopg2"),
        ("addons/prepaid_energy/engine/deep/part.py", "from .. import rounding"),
        (MODEL, "from odoo import models\nfrom ..engine import rating"),
    ],
)
def test_import_within_a_core_is_allowed(path, source):
    assert check_python(path, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "datetime.now()",
        "datetime.datetime.now(UTC)",
        "datetime.utcnow()",
        "datetime.today()",
        "date.today()",
        "datetime.date.today()",
        "time.time()",
        "time.monotonic()",
        "_time.monotonic()",
        "time.perf_counter()",
        "from time import monotonic",
        "from time import time as seconds",
        "time.strftime('%Y')",
        "time.localtime()",
        "fields.Date.today()",
        "fields.Date.context_today(self)",
        "moment = fields.Datetime(default=fields.Datetime.now)",
        "Datetime.now()",
        "self.env.cr.now()",
        "cr.execute('SELECT now()')",
        "SQL('UPDATE a SET b = NOW ( )')",
        "SQL('UPDATE a SET b = CURRENT_TIMESTAMP')",
        "f'WHERE at < clock_timestamp() - {gap}'",
        "SQL('WHERE day = current_date')",
    ],
)
@pytest.mark.parametrize("path", [MODEL, ENGINE, SIMULATOR])
def test_asking_for_the_time_is_found(path, source):
    assert len(check_python(path, source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "clock.now(self.env.cr)",
        "clock.monotonic()",
        "SQL('SELECT energy_now()')",
        "datetime.combine(day, time.min)",
        "time.strftime('%Y', moment)",
        "fields.Datetime.to_datetime(text)",
        "def late():\n    '''Never now(), always energy_now().'''",
        "_('Read the meters now (all of them)')",
        "from time import strptime",
        "moment.time()",
    ],
)
def test_other_uses_of_time_are_allowed(source):
    assert check_python(MODEL, source) == []


@pytest.mark.parametrize(
    "path",
    [
        "addons/prepaid_energy/clock.py",
        "addons/prepaid_energy_meter/modbus/monotonic.py",
        "addons/prepaid_energy_meter/simulator/clock.py",
        "addons/prepaid_energy/tests/test_clock.py",
        "tools/progress.py",
    ],
)
def test_the_clocks_and_the_tests_may_ask_for_the_time(path):
    assert check_python(path, "import time\ntime.monotonic()") == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("addons/prepaid_energy/views/a.xml", "[('day', '=', context_today())]"),
        ("addons/prepaid_energy/data/a.xml", 'eval="datetime.now()"'),
        ("addons/prepaid_energy/static/src/a.js", "const at = luxon.DateTime.now();"),
        ("addons/prepaid_energy/static/src/a.js", "const at = new Date();"),
        ("addons/prepaid_energy/data/neutralize.sql", "UPDATE a SET b = now();"),
    ],
)
def test_views_scripts_and_sql_are_checked_too(path, source):
    assert len(check_other(path, source)) == 1


def test_a_breach_in_a_file_of_the_tree_is_found(tmp_path):
    folder = tmp_path / "addons" / "prepaid_energy" / "engine"
    folder.mkdir(parents=True)
    (folder / "rating.py").write_text("import odoo\n")
    assert [str(finding) for finding in check_tree(tmp_path)] == [
        "addons/prepaid_energy/engine/rating.py:1: engine must not import odoo"
    ]
