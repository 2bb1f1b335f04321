"""A bus is scanned, a meter commissioned, on real processes: what is ordered comes back."""

from site_plan import METERS

GATEWAY = 0


def answer(site, client, model, record, *names):
    """Wait until the record's order has come back; the values of these fields."""

    def read():
        [found] = client.call(model, "read", [record], ["is_waiting", *names])
        return found

    site.wait_until(lambda: not read()["is_waiting"], f"the answer to {model} {record}")
    return read()


def test_from_a_scan_to_a_signed_sheet(run_site):
    with run_site("commissioning") as site:
        site.start()
        client = site.client("manager")
        plan = [meter for meter in METERS if meter.gateway == GATEWAY]
        [gateway] = client.call("energy.gateway", "search", [("name", "=", f"Bus {GATEWAY + 1}")])
        moved = next(meter for meter in plan if meter.commodity == "electricity")
        [meter] = client.call("energy.meter", "search", [("name", "=", moved.serial)])
        client.call("energy.meter", "write", [meter], {"unit_id": 200})
        [now] = client.call("energy.meter", "read", [meter], ["is_commissioned"])
        assert not now["is_commissioned"], "at another address it has to be commissioned again"

        # Scan: everybody is known but the one that is expected elsewhere.
        [scan] = client.call(
            "energy.gateway.scan", "create", [{"gateway_id": gateway, "units": "1-12"}]
        )
        client.call("energy.gateway.scan", "action_start", [scan])
        found = answer(site, client, "energy.gateway.scan", scan, "state", "progress", "line_ids")
        assert (found["state"], found["progress"]) == ("confirmed", 100)
        lines = client.call(
            "energy.gateway.scan.line", "read", found["line_ids"], ["unit_id", "verdict", "serial"]
        )
        assert {line["unit_id"] for line in lines} == {meter.unit for meter in plan}
        verdicts = {line["unit_id"]: line["verdict"] for line in lines}
        assert verdicts.pop(moved.unit) == "moved"
        assert set(verdicts.values()) == {"known"}

        # Sheet: read, typed, checked in the room, signed.
        client.call("energy.meter", "write", [meter], {"unit_id": moved.unit})
        action = client.call("energy.meter", "action_commission", [meter])
        sheet = action["res_id"]
        model, check = "energy.meter.commissioning", "energy.meter.commissioning.check"
        client.call(model, "action_read", [sheet])
        read = answer(site, client, model, sheet, "probe_state", "line_ids")
        assert read["probe_state"] == "confirmed"
        lines = {
            line["check"]: line
            for line in client.call(check, "read", read["line_ids"], ["check", "read_value"])
        }
        assert lines["serial"]["read_value"] == moved.serial
        assert lines["clock"]["read_value"] == "+0 s"
        plate = {
            "serial": moved.serial,
            "ct": "1",
            "pt": "1",
            "display": site.registers()[moved.serial],
        }
        for name, value in plate.items():
            client.call(check, "write", [lines[name]["id"]], {"typed_value": value})
        client.call(model, "write", [sheet], {"room_person": "Mr Lee"})
        for button, state in (("action_room_off", "off"), ("action_room_on", "on")):
            client.call(model, button, [sheet])
            answer(site, client, model, sheet)
            assert site.relays()[moved.serial] == state
        client.call(model, "action_room_seen", [sheet])
        client.call(model, "action_sign", [sheet])
        [signed] = client.call(model, "read", [sheet], ["state", "open_count"])
        assert (signed["state"], signed["open_count"]) == ("done", 0)
        [now] = client.call("energy.meter", "read", [meter], ["is_commissioned"])
        assert now["is_commissioned"]
        site.wait_until(site.is_settled, "the readings beside all this")
