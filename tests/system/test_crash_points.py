"""Server and connector killed at every named crash point, and started again: the same end.

`ENERGY_CRASH_ROUNDS` has each point hit in so many runs, at varying hits of it.
"""

import os
import runpy
from datetime import timedelta

import pytest
from lost_connections import CONNECTION_LOST, losing_connections
from tenancy import Tenancy

from tools import folders

ROUNDS = range(int(os.environ.get("ENERGY_CRASH_ROUNDS", "1")))
# Long enough for two accounts with five meters to go dark and to be lit again.
STRETCH = timedelta(hours=20)
OF_ORDERS = ("write_sent", "before_read_back", "after_read_back", "order_confirmed")


def crash_points() -> tuple[str, ...]:
    """The add-on's own list, read without Odoo."""
    return runpy.run_path(str(folders.ADDONS / "prepaid_energy" / "crash_points.py"))["POINTS"]


def armed(turn: int) -> list[str]:
    """Each point with the hit at which to die; orders are few, readings and charges many."""
    return [
        f"{point}:{1 + turn % 2 if point in OF_ORDERS else 2 + turn % 12}"
        for point in crash_points()
    ]


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
@pytest.mark.parametrize("victim", ["connector", "server"])
def test_killed_at_every_crash_point(victim, turn, undisturbed, run_site):
    """One kill after another in one stretch. Where the server is the victim no connector runs:
    its scheduled actions do the field's work."""
    with run_site("crash", connector=victim == "connector") as site:
        is_server = victim == "server"
        # Odoo's word for a scheduled action that was killed three times in a row.
        if is_server:
            site.declared = r"ir_cron: Job '[^']*' \(\d+\) timed out"
        site.start(victim=victim, crash_points=armed(turn), cron_threads=2 * is_server)
        end = play(site)
        assert site.crashes() == list(crash_points()), "a crash point was not hit"
        assert end == undisturbed


def test_server_killed_while_it_takes_money(undisturbed, run_site):
    """The cashier presses the button again after the server is back: credited once."""
    with run_site("paying") as site:
        site.start(victim="server", crash_points=["entry_written"], cron_threads=0)
        end = play(site)
        assert site.crashes() == ["entry_written"]
        assert end == undisturbed


def test_database_connections_are_lost(undisturbed, run_site):
    """PostgreSQL ends all connections again and again, each time within somebody's transaction."""
    with run_site("lost") as site:
        site.declared = CONNECTION_LOST
        site.start(cron_threads=0)
        own = site.value("SELECT pg_backend_pid()")
        with losing_connections(site.database, own) as lost:
            end = play(site)
        assert len(lost) >= 5
        assert end == undisturbed
