"""The engineer's guide followed on screen, from a gateway on its form to a signed sheet.

On the demo's data beside a bus that nobody knows yet; server, connector and both simulators are
processes of their own. With ENERGY_PICTURES=1 the guide's pictures are taken anew.
"""

import json

import pytest
from browser import choose, field, picture_folder, press, type_in
from playwright.sync_api import expect

from simulator.process import running

NAME = "Building 3, riser 1"
ELECTRICITY = {unit: f"DDS260318{unit:02}" for unit in range(1, 11)}
WATER = {unit: f"WTR260318{unit - 20:02}" for unit in range(21, 24)}
TYPES = ("Acrel DDSY1352", "Kaifeng Xintai ultrasonic water meter with valve")
FLOORS = {"Floor 1": ("3-101", "3-102", "3-103", "3-104"), "Floor 2": ("3-201", "3-202")}
ROOMS = {
    **dict(zip(ELECTRICITY, [room for rooms in FLOORS.values() for room in rooms], strict=False)),
    **dict(zip(WATER, FLOORS["Floor 1"], strict=False)),
}
#: The unit that is commissioned, and who stands in its room.
UNIT, PERSON = 5, "Zhou Min, 138 1234 5678"
WIDTH = 1200


def new_bus():
    """A gateway of a site file with ten electricity meters and three water meters."""
    meters = [
        {
            "unit": unit,
            "type": "ddsy1352",
            "serial": serial,
            "register": f"{3 + unit * 0.37:.2f}",
            "curve": f"building_{unit}",
            "scale": "0.55",
        }
        for unit, serial in ELECTRICITY.items()
    ]
    meters += [
        {
            "unit": unit,
            "type": "kaifeng_valve",
            "serial": serial,
            "register": f"{unit - 19.5}",
            "curve": f"water_flat_{unit - 20}",
            "scale": "1.2",
        }
        for unit, serial in WATER.items()
    ]
    return {"port": 0, "meters": meters}


def build(site):
    """Building 3, whose rooms are there before its meters."""
    client = site.client("operator")
    [gardens] = client.call("energy.property", "search", [("name", "=", "Harbour Gardens")])

    def make(name, kind, parent):
        values = {"name": name, "kind": kind, "parent_id": parent}
        [place] = client.call("energy.property", "create", [values])
        return place

    building = make("Building 3", "building", gardens)
    for floor, rooms in FLOORS.items():
        parent = make(floor, "floor", building)
        for room in rooms:
            make(room, "room", parent)


def save(page):
    press(page, "Save manually")
    expect(page.get_by_role("button", name="Save manually")).to_be_hidden()


@pytest.mark.needs("chromium")
def test_the_guide_leads_from_a_gateway_to_a_signed_sheet(demo, visit, tmp_path):
    build(demo)
    file = tmp_path / "riser.json"
    start = demo.moment.isoformat()
    file.write_text(json.dumps({"start": start, "gateways": [new_bus()]}))
    with running(file, "--clock-anchor", start, "--clock-speed", "0") as bus:
        page = visit("engineer", "energy-gateways", {"width": WIDTH, "height": 900})
        folder = picture_folder(tmp_path)

        def picture(name):
            """Take a picture as high as what is on the page."""
            height = page.evaluate(
                "() => { const find = (name) => document.querySelector(name);"
                " find('.o_content').scrollTop = 0;"
                " return find('.o_form_sheet_bg').getBoundingClientRect().bottom }"
            )
            page.set_viewport_size({"width": WIDTH, "height": int(height) + 60})
            page.screenshot(path=folder / f"engineer-{name}.png")

        # The gateway.
        press(page, "New")
        type_in(page, "name", NAME)
        choose(page, "site_id", "Harbour Gardens")
        type_in(page, "host", "127.0.0.1")
        type_in(page, "port", str(bus.list()[0]["port"]))
        save(page)
        held = """
            SELECT g.id, s.lease_holder FROM energy_gateway_status s
              JOIN energy_gateway g ON g.id = s.gateway_id
             WHERE g.name = %s AND s.lease_holder IS NOT NULL
        """
        demo.wait_until(lambda: demo.rows(held, NAME), "a connector takes the new gateway")
        number, holder = demo.row(held, NAME)
        gateway = f"{demo.address}/odoo/energy-gateways/{number}"
        page.goto(gateway)
        expect(field(page, "lease_holder")).to_have_text(holder)

        # The scan.
        press(page, "Scan")
        type_in(page, "units", "1-40")
        tags = field(page, "profile_ids").locator(".o_tag")
        expect(tags.first).to_be_visible()
        for name in [text.strip() for text in tags.all_inner_texts()]:
            if name not in TYPES:
                tags.filter(has_text=name).first.locator(".o_delete").click()
        expect(tags).to_have_count(len(TYPES))
        press(page, "Scan")
        lines = field(page, "line_ids").locator("tr.o_data_row")
        expect(lines).to_have_count(len(ELECTRICITY) + len(WATER))
        for line, (unit, serial) in zip(lines.all(), (ELECTRICITY | WATER).items(), strict=True):
            expect(line.locator("td[name=unit_id]")).to_have_text(str(unit))
            expect(line.locator("td[name=verdict]")).to_have_text("New")
            by_code = unit in ELECTRICITY
            expect(line.locator("td[name=serial]")).to_have_text(serial if by_code else "")
            if by_code:
                expect(line.locator("td[name=is_chosen] input")).to_be_checked()
            else:
                expect(line.locator("td[name=is_chosen] input")).not_to_be_checked()
            if unit in ROOMS:
                line.locator("td[name=unit_id]").click()
                choose(line, "property_id", ROOMS[unit])
                if not by_code:
                    type_in(line, "name", serial)
                    line.locator("td[name=is_chosen] input").check()
        save(page)
        picture("scan")
        press(page, "Create Chosen Meters")
        expect(page.locator(".o_last_breadcrumb_item")).to_have_text("Meters")
        expect(page.locator("tr.o_data_row")).to_have_count(len(ELECTRICITY) + len(WATER))

        # The sheets.
        page.goto(gateway)
        press(page, "Commission Meters")
        expect(page.locator(".o_last_breadcrumb_item")).to_have_text("Commissioning Sheets")
        expect(page.locator("tr.o_data_row")).to_have_count(len(ELECTRICITY) + len(WATER))
        page.locator("thead .o_list_record_selector input").check()
        press(page, "Read Everything")
        unread = "SELECT count(*) FROM energy_meter_commissioning"
        unread += " WHERE state = 'draft' AND read_at IS NULL"
        demo.wait_until(lambda: not demo.value(unread), "the answers of all meters")
        page.reload()
        row = page.locator("tr.o_data_row", has_text=ELECTRICITY[UNIT])
        expect(row.locator("td[name=read_at]")).not_to_be_empty()
        row.locator("td[name=meter_id]").click()
        checks = field(page, "line_ids").locator("tr.o_data_row")

        def check(name):
            return checks.filter(has=page.locator("td[name=check]", has_text=name))

        shown = bus.registers(ELECTRICITY[UNIT])[0]["register"]
        expect(check("Opening reading").locator("td[name=read_value]")).to_have_text(shown)
        type_in(page, "room_person", PERSON)
        for name, text in (
            ("Serial number", ELECTRICITY[UNIT]),
            ("(CT)", "1"),
            ("(PT)", "1"),
            ("as displayed", shown),
        ):
            check(name).locator("td[name=typed_value]").click()
            type_in(check(name), "typed_value", text)
        save(page)
        states = checks.locator("td[name=state]")
        expect(states).to_have_text(
            ["Agrees"] * 3 + ["Not needed"] + ["Agrees"] * 5 + ["Open"], use_inner_text=True
        )
        picture("sheet")

        # The room: nothing is written before the gateway is armed.
        assert bus.commands(ELECTRICITY[UNIT]) == []
        sheet = page.url
        page.goto(gateway)
        press(page, "Arm")
        press(page.get_by_role("dialog"), "Ok")
        expect(page.locator(".o_arrow_button_current")).to_have_text("Reads, turns on")
        picture("gateway")
        page.goto(sheet)
        press(page, "Supply Off")
        press(page.get_by_role("dialog"), "Ok")
        expect(field(page, "off_state")).to_have_text("Confirmed")
        assert [row["supply"] for row in bus.relay(ELECTRICITY[UNIT])] == ["off"]
        picture("room")
        press(page, "Supply On")
        expect(field(page, "on_state")).to_have_text("Confirmed")
        assert [row["supply"] for row in bus.relay(ELECTRICITY[UNIT])] == ["on"]
        press(page, "Yes, Off and Back")
        expect(field(page, "room_seen")).to_have_text("Went off here and came back")

        # Signed: this meter and no other.
        press(page, "Sign")
        press(page.get_by_role("dialog"), "Ok")
        expect(page.locator(".o_arrow_button_current")).to_have_text("Signed")
        commissioned = demo.rows(
            "SELECT m.name FROM energy_meter m JOIN energy_gateway g ON g.id = m.gateway_id"
            " WHERE g.name = %s AND m.is_commissioned",
            NAME,
        )
        assert commissioned == [(ELECTRICITY[UNIT],)]
        demo.wait_until(demo.is_settled, "the first readings of the new meters")
