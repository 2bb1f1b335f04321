"""Server and connector killed at every named crash point, and started again: the same end.

`ENERGY_CRASH_ROUNDS` has each point hit so many times, at later and later hits of it.
"""

import os
from datetime import timedelta

import pytest
from tenancy import Tenancy

from tools import folders

POINTS_FILE = folders.ADDONS / "prepaid_energy" / "crash_points.py"
ROUNDS = range(1, int(os.environ.get("ENERGY_CRASH_ROUNDS", "1")) + 1)
# Long enough for two accounts with five meters to go dark and to be lit again.
STRETCH = timedelta(hours=16)
# Reached at every reading or charge: the kill comes some hours into the stretch.
FREQUENT = {"reading_stored": 8, "usage_written": 6, "entry_written": 6, "before_commit": 17,
            "after_commit": 17}  # fmt: skip


def crash_points():
    names = {}
    exec(compile(POINTS_FILE.read_text(), POINTS_FILE, "exec"), names)
    return names["POINTS"]


def play(site):
    """Live through the stretch and tell how it ended."""
    tenancy = Tenancy(site)
    tenancy.begin()
    tenancy.live(STRETCH)
    assert {number for number, count in tenancy.cuts.items() if count} == {3, 5}
    assert not tenancy.off_at
    return {
        "balances": site.balances(),
        "registers": site.registers(),
        "supplies": site.known_supplies(),
        "obeyed": [(row["serial"], row["at"], row["command"]) for row in site.simulator.commands()],
        "readings": site.rows(
            "SELECT m.name, r.moment, r.total::text, r.state FROM energy_reading_data r"
            "  JOIN energy_meter m ON m.id = r.meter_id ORDER BY 1, 2"
        ),
        "payments": site.rows(
            "SELECT account_id, amount::text FROM energy_wallet_entry"
            " WHERE kind = 'top_up' ORDER BY id"
        ),
        "use": site.rows(
            "SELECT supply_id, local_date, band, tier, quantity::text, amount::text"
            "  FROM energy_usage ORDER BY 1, 2, 3, 4"
        ),
    }


_undisturbed = {}


@pytest.fixture
def undisturbed(run_site):
    """The end of the stretch when nothing is killed; played once."""
    if not _undisturbed:
        with run_site("undisturbed") as site:
            site.start(cron_threads=0)
            _undisturbed.update(play(site))
    return _undisturbed


@pytest.mark.parametrize("turn", ROUNDS)
@pytest.mark.parametrize("point", crash_points())
@pytest.mark.parametrize("process", ["connector", "server"])
def test_killed_at(process, point, turn, undisturbed, run_site):
    """The server does the field's work itself where it is the one to be killed."""
    hit = FREQUENT.get(point, 1) + turn - 1
    with run_site("crash", connector=process == "connector") as site:
        site.start(crash=(process, f"{point}:{hit}"), cron_threads=2 * (process == "server"))
        end = play(site)
        assert site.crashes() == [point], "the crash point was not hit"
        assert end == undisturbed


def test_server_killed_while_it_takes_money(undisturbed, run_site):
    """The cashier presses the button again after the server is back: credited once."""
    with run_site("paying") as site:
        site.start(crash=("server", "entry_written"), cron_threads=0)
        end = play(site)
        assert site.crashes() == ["entry_written"]
        assert end == undisturbed
