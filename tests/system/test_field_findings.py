"""What is wrong at a meter is seen on screen with its cause, and no payment undoes it.

On the demo's data, with server, connector and simulator as processes of their own.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from browser import press
from playwright.sync_api import expect
from running_site import HALF_HOUR

# Demo data: meters and, for the room list, their customer and the icon of their commodity.
TRIPPED = "DDS26000012"  # in arrears and off
STUCK_RELAY = "DDS26000003"
STUCK_VALVE = "WTR26000004"
SLOW_VALVE = "WTR26000002"
ROOMS = {
    TRIPPED: ("Blue Wave Hair", "fa-bolt"),
    STUCK_RELAY: ("Wu Hao", "fa-bolt"),
    STUCK_VALVE: ("Zheng Yue", "fa-tint"),
    SLOW_VALVE: ("Zhou Jing", "fa-tint"),
}
TRAVEL = timedelta(minutes=3)


def order(site, serial, action):
    """Order supply as the operator does."""
    client = site.client("operator")
    [meter] = client.call("energy.meter", "search", [("name", "=", serial)])
    [operation] = client.call(
        "energy.operation",
        "create",
        [{"action": action, "reason": "test", "line_ids": [(0, 0, {"meter_id": meter})]}],
    )
    client.call("energy.operation", "action_confirm", [operation])


def is_done(site):
    """Whether no order waits any more; the pauses between their tries are left out."""
    site.rows(
        "UPDATE energy_command SET not_before = NULL"
        " WHERE state IN ('queued', 'sent') AND not_before IS NOT NULL"
        " RETURNING pg_notify('energy_command', meter_id::text)"
    )
    return site.is_settled()


def room(page, serial):
    customer, icon = ROOMS[serial]
    return page.locator("tr.o_data_row", has_text=customer).filter(has=page.locator(f".{icon}"))


def supply(page, serial):
    return room(page, serial).locator("td[name=supply_state]")


def trip_sign(page, serial):
    return room(page, serial).locator("button[name=action_open_findings]")


def finding(page, serial, kind):
    kinds = page.locator("td[name=kind]", has_text=kind)
    return page.locator("tr.o_data_row", has_text=serial).filter(has=kinds)


def pay(page, serial, amount):
    room(page, serial).locator("button[name=action_top_up]").click()
    counter = page.get_by_role("dialog")
    counter.locator("div[name=amount] input").fill(amount)
    counter.locator("button[name=action_confirm]").click()
    expect(counter).to_contain_text("Supply on has been ordered.")
    counter.get_by_role("button", name="Close", exact=True).last.click()


def obeyed(site, serial):
    return [row["command"] for row in site.simulator.commands(serial)]


@pytest.mark.needs("chromium")
def test_what_is_wrong_at_a_meter_is_on_screen(demo, visit):
    simulator = demo.simulator
    # A valve that is stuck is known as such after seconds here, not after minutes.
    demo.rows(
        "UPDATE energy_meter_profile SET settle = '4' WHERE code = 'kaifeng_xintai_valve'"
        " RETURNING pg_notify('energy_field', '')"
    )
    page = visit("operator", "energy-rooms")
    expect(supply(page, SLOW_VALVE)).to_have_text("On")

    # A valve takes minutes: it is moving, then off.
    simulator.alter(SLOW_VALVE, move_seconds=TRAVEL.seconds)
    order(demo, SLOW_VALVE, "off")
    expect(supply(page, SLOW_VALVE)).to_have_text("Moving")
    demo.step(demo.moment + TRAVEL)
    expect(supply(page, SLOW_VALVE)).to_have_text("Off")
    assert obeyed(demo, SLOW_VALVE) == ["close"]

    # A relay that says yes and does not move, a valve that is stuck: nobody is told they are off.
    simulator.alter(STUCK_RELAY, stuck=["L1"])
    simulator.alter(STUCK_VALVE, stuck=True)
    for serial in (STUCK_RELAY, STUCK_VALVE):
        order(demo, serial, "off")
    demo.wait_until(lambda: is_done(demo), "the end of the orders")
    for serial in (STUCK_RELAY, STUCK_VALVE):
        expect(supply(page, serial)).to_have_text("On")

    # The meter's own protection turns off; the payment that ends the arrears does not undo that.
    simulator.alter(TRIPPED, trip="overload")
    before = obeyed(demo, TRIPPED)
    demo.step(demo.next_reading())
    expect(trip_sign(page, TRIPPED)).to_be_visible()
    pay(page, TRIPPED, "300")
    demo.wait_until(demo.is_settled, "the order of the payment")
    expect(room(page, TRIPPED).locator("td[name=balance]")).to_contain_text("237.60")
    expect(supply(page, TRIPPED)).to_have_text("Off")
    assert obeyed(demo, TRIPPED) == before, "nothing was written to it"

    # Water runs through the closed valve.
    leaked = Decimal(demo.registers()[SLOW_VALVE]) + Decimal("0.4")
    simulator.alter(SLOW_VALVE, register=leaked)
    demo.step(demo.moment + HALF_HOUR)
    demo.trigger("prepaid_energy", "ir_cron_watch_supplies")
    demo.wait_until(
        lambda: demo.value("SELECT count(*) FROM energy_meter_finding WHERE kind = 'flowing'"),
        "the watch on supplies",
    )

    # All of it stands under Today, with causes.
    page.goto(f"{demo.address}/odoo/energy-meter-findings")
    for serial, kind, text in (
        (TRIPPED, "Tripped by the meter itself", "overload. No payment turns it on again"),
        (TRIPPED, "Command failed", "the meter itself turned supply off (Overload)"),
        (STUCK_RELAY, "Command failed", "it did not move"),
        (STUCK_RELAY, "State differs", "on is seen: the command failed"),
        (STUCK_VALVE, "Command failed", "reports a fault"),
        (STUCK_VALVE, "State differs", "on is seen: the command failed"),
        (STUCK_VALVE, "Device reports a fault", "The relay or valve reports a fault"),
        (SLOW_VALVE, "Off, but flowing", "0.4 m³"),
    ):
        expect(finding(page, serial, kind)).to_contain_text(text)
    finding(page, SLOW_VALVE, "Off, but flowing").locator("td[name=kind]").click()
    curve = page.locator("[name=curve] svg")
    expect(curve.locator("rect").last).to_be_attached()
    expect(curve.locator("line")).to_be_attached()

    # The meter's form names the cause, and a person turns it on there.
    page.goto(f"{demo.address}/odoo/energy-rooms")
    trip_sign(page, TRIPPED).click()
    finding(page, TRIPPED, "Tripped by the meter itself").locator("td[name=kind]").click()
    page.locator("[name=meter_id] a").click()
    expect(page.locator("[name=trip_cause]")).to_have_text("Overload")
    press(page, "Supply On")
    demo.wait_until(lambda: demo.relays()[TRIPPED] == "on", "the person's order")
    demo.wait_until(demo.is_settled, "its read-back")
    page.goto(f"{demo.address}/odoo/energy-rooms")
    expect(supply(page, TRIPPED)).to_have_text("On")
    expect(trip_sign(page, TRIPPED)).to_have_count(0)
