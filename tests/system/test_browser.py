"""The main job as a user sees it: a room runs out and goes dark, a payment lights it again.

On the demo's data, with server, connector and simulator as processes of their own. With
ENERGY_PICTURES=1 the README's picture is taken anew.
"""

import re

import pytest
from browser import picture_folder
from playwright.sync_api import expect
from running_site import HALF_HOUR

# Demo data: 0.80 is left on the balance of room 1-101.
TENANT, METERS = "Sun Wei", {"DDS26000001", "WTR26000001"}


def supplies(site):
    return {serial: supply for serial, supply in site.relays().items() if serial in METERS}


@pytest.mark.needs("chromium")
def test_a_room_goes_dark_and_a_payment_lights_it(demo, visit, tmp_path):
    page = visit("operator", "energy-rooms")
    rows = page.locator("tr.o_data_row", has_text=TENANT)
    badges = rows.locator("td[name=fee_state]")
    expect(badges).to_have_text(["Alarm 3"] * len(METERS))
    assert set(supplies(demo).values()) == {"on"}

    # Time passes, the page stays open: it says by itself what has happened.
    demo.step(demo.next_reading())
    for _half_hour in range(48):
        if "off" in supplies(demo).values():
            break
        demo.step(demo.moment + HALF_HOUR)
    assert set(supplies(demo).values()) == {"off"}, "the relay and the valve are open"
    expect(badges).to_have_text(["Off"] * len(METERS))
    page.screenshot(path=picture_folder(tmp_path) / "room-list.png")
    registers = demo.registers()
    demo.step(demo.moment + 2 * HALF_HOUR)
    dark = demo.registers()
    assert {serial: dark[serial] for serial in METERS} == {
        serial: registers[serial] for serial in METERS
    }, "nothing flows"

    rows.first.locator("button[name=action_top_up]").click()
    counter = page.get_by_role("dialog")
    counter.locator("div[name=amount] input").fill("200")
    counter.locator("button[name=action_confirm]").click()
    expect(counter).to_contain_text("Supply on has been ordered.")
    counter.get_by_role("button", name="Close", exact=True).last.click()

    demo.wait_until(demo.is_settled, "supply on")
    assert set(supplies(demo).values()) == {"on"}, "the relay and the valve are closed"
    expect(badges).to_have_text(["Normal"] * len(METERS))
    expect(rows.first.locator("td[name=balance]")).to_have_text(re.compile(r"19\d\.\d\d"))
    demo.step(demo.moment + 4 * HALF_HOUR)
    assert demo.registers()["DDS26000001"] != dark["DDS26000001"], "it flows again"
