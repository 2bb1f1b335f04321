"""Two connectors on the same gateways: one stopped and woken again, one killed in a write.

The buses have a baud rate, so the simulator sees two masters' frames overlap where they do.
"""

import re
import signal
import time

import site_plan

from tools import folders, odoo_command
from tools.processes import Process

#: A lease lasts 8 seconds and is looked at every 2.
SECONDS_TO_REPLACE = 10
STOPPED_SECONDS = 20


class Spare:
    """A second connector, looked after by the test."""

    def __init__(self, site, crash_point):
        log = folders.LOG / "system" / f"{site.database}-spare.log"
        extra = {"ENERGY_CRASH_POINT": crash_point}
        self.process = Process(
            "spare",
            odoo_command.command("energy_connector", "-d", site.database),
            log,
            env=odoo_command.environment(extra),
        )

    def lines(self, pattern):
        return [line for line in self.process.text().splitlines() if re.search(pattern, line)]


def holders(site):
    """The process ids of those who hold a gateway by a lease that is not over."""
    return {
        int(holder.split(":")[1])
        for (holder,) in site.rows(
            "SELECT DISTINCT lease_holder FROM energy_gateway_status"
            " WHERE lease_until > energy_real_now()"
        )
    }


def obeyed(site, meter):
    return [row["command"] for row in site.simulator.commands() if row["serial"] == meter.serial]


def wait(site, ready, seconds, what):
    """Wait so many real seconds at most; return how many it took."""
    started = time.monotonic()
    while not ready():
        site.look_after_processes()
        assert time.monotonic() < started + seconds, what
        time.sleep(0.05)
    return time.monotonic() - started


def assert_one_master(site):
    assert [row["overlaps"] for row in site.simulator.stats()] == [0] * site_plan.GATEWAYS


def test_one_stopped_and_woken_then_one_killed_in_a_write(run_site):
    devices = site_plan.simulated_site()
    for gateway in devices["gateways"]:
        gateway["baud"] = 115200
    first, second, *_others = site_plan.METERS
    with run_site("two", devices=devices) as site:
        site.start(cron_threads=0)
        connector = site._processes["connector"]
        spare = Spare(site, "write_sent:2")
        try:
            _play(site, connector, spare, first, second)
        finally:
            spare.process.signal(signal.SIGCONT)
            spare.process.stop()


def test_one_stopped_within_an_order_finds_it_done_by_the_other(run_site, monkeypatch):
    with run_site("stopped", devices=site_plan.simulated_site()) as site:
        with monkeypatch.context() as of_connector:
            of_connector.setenv("ENERGY_CRASH_SIGNAL", "STOP")
            site.start(victim="connector", crash_points=["before_read_back"], cron_threads=0)
        connector = site._processes["connector"]
        spare = Spare(site, "")
        try:
            _play_stopped(site, connector, spare, site_plan.METERS[0])
        finally:
            spare.process.stop()
            # One that is stopped does not hear that it is to end.
            connector.signal(signal.SIGCONT)


def _play_stopped(site, connector, spare, meter):
    spare.process.wait_for_text("0 of 4 gateways")
    site.order(meter.serial, "off")
    wait(site, lambda: site.crashes() == ["before_read_back"], 30, "the holder stops")
    took = wait(site, lambda: holders(site) == {spare.process.pid}, 60, "the other takes over")
    assert took < SECONDS_TO_REPLACE
    site.wait_until(site.is_settled, "the order that was half done")
    attempts = site.rows("SELECT outcome, holder FROM energy_command_attempt ORDER BY id")
    assert [outcome for outcome, _holder in attempts] == ["written", "confirmed"]
    assert [
        f":{pid}:" in holder
        for pid, (_outcome, holder) in zip(
            (connector.pid, spare.process.pid), attempts, strict=True
        )
    ] == [True, True]
    connector.signal(signal.SIGCONT)
    wait(site, lambda: connector.text().count("let go") == site_plan.GATEWAYS, 10, "it lets go")
    site.step(site.next_reading())
    assert holders(site) == {spare.process.pid}
    assert obeyed(site, meter) == ["forced off"], "nothing is written twice"
    assert site.rows("SELECT outcome, holder FROM energy_command_attempt ORDER BY id") == attempts
    assert site.rows("SELECT state FROM energy_command") == [("confirmed",)]


def _play(site, connector, spare, first, second):
    spare.process.wait_for_text("0 of 4 gateways")
    assert holders(site) == {connector.pid}
    site.order(first.serial, "off")
    site.wait_until(site.is_settled, "the order")
    assert obeyed(site, first) == ["forced off"]

    # The holder stops for as long as two leases, and does not know it.
    connector.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    took = wait(site, lambda: holders(site) == {spare.process.pid}, 60, "the other takes over")
    assert took < SECONDS_TO_REPLACE
    site.step(site.next_reading())
    site.order(second.serial, "off")
    site.wait_until(site.is_settled, "the order by the other")
    time.sleep(max(0.0, STOPPED_SECONDS - (time.monotonic() - stopped)))
    connector.signal(signal.SIGCONT)
    wait(site, lambda: connector.text().count("let go") == site_plan.GATEWAYS, 10, "it lets go")
    site.step(site.next_reading())
    assert_one_master(site)
    assert holders(site) == {spare.process.pid}
    assert obeyed(site, second) == ["forced off"]
    for gateway in range(1, site_plan.GATEWAYS + 1):
        # One line says what happened.
        assert len(spare.lines(f"Gateway Bus {gateway}: taken")) == 1

    # The present holder dies between the bytes of a write and its read-back.
    site.order(first.serial, "on")
    wait(site, lambda: spare.process.status == -signal.SIGKILL, 30, "the crash point")
    assert obeyed(site, first) == ["forced off", "forced on"]
    took = wait(site, lambda: holders(site) == {connector.pid}, 60, "the first takes over again")
    assert took < SECONDS_TO_REPLACE
    site.wait_until(site.is_settled, "the order that was half done")
    assert obeyed(site, first) == ["forced off", "forced on"], "nothing is written twice"
    site.step(site.next_reading())
    assert_one_master(site)
    assert site.relays()[first.serial] == "on"
    assert connector.text().count("Gateway Bus 1: taken") == 2
