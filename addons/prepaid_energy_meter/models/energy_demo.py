import json
from datetime import timedelta
from decimal import Decimal

from odoo import api, models
from odoo.addons.prepaid_energy import clock
from odoo.tools import file_open

from ..simulator.load import curves, displayed, energy

HALF_HOUR = timedelta(minutes=30)
RESOLUTIONS = {"electricity": Decimal("0.01"), "water": Decimal("0.001")}
TOP_UP_STEP = Decimal(100)
LAST_PAYMENT_DAY = 14
# Minutes on the project clock: ten seconds at the demo's speed, so that figures move.
READ_EVERY = 10


class EnergyDemo(models.AbstractModel):
    _inherit = "energy.demo"

    @api.model
    def _field(self):
        with file_open("prepaid_energy_meter/demo/field.json") as source:
            return json.load(source)

    @api.model
    def _load_field(self):
        """Gateways with the demo's meters, and a month of readings, settled day by day."""
        self = self.with_company(self._company())
        for bus in self._field():
            gateway = self.env["energy.gateway"].create(
                {
                    "name": bus["name"],
                    "host": "127.0.0.1",
                    "port": bus["port"],
                    "site_id": self.env.ref(f"prepaid_energy.{bus['site']}").id,
                }
            )
            for values in bus["meters"]:
                meter = self.env["energy.meter"].search([("name", "=", values["serial"])])
                meter.write(
                    {
                        "driver": "modbus",
                        "read_interval": READ_EVERY,
                        "gateway_id": gateway.id,
                        "unit_id": values["unit"],
                        "profile_id": self.env["energy.meter.profile"]
                        .search([("code", "=", values["profile"])], limit=1)
                        .id,
                    }
                )
        self.env["energy.meter"].search(
            [("driver", "=", "modbus"), ("company_id", "=", self._company().id)]
        )._take_over_commissioned("Checked in every room when the site was handed over.")
        self.env.flush_all()
        self._play_history()
        self._end_history()
        self._load_office()
        for site in ("site_gardens", "site_mall"):
            self.env.ref(f"prepaid_energy.{site}").supply_state = "live"

    def _play_history(self):
        """Read every meter each half hour from its opening until now, on the load curves."""
        now = clock.now(self.env.cr)
        start = self._start()
        meters = self._played(start)
        day = start
        while day < now:
            until = min(day + timedelta(days=1), now)
            self.env["energy.clock"]._set(until, 0)
            rows = []
            for meter, register in meters:
                moment = day + HALF_HOUR
                while moment <= until:
                    rows.append((meter.id, moment, register(moment), None, "poll"))
                    moment += HALF_HOUR
            self.env["energy.reading"]._ingest(rows)
            self._settle_all()
            self._top_up_low(day)
            day = until
        self.env.cr.execute("DELETE FROM energy_clock")
        self.env["energy.meter.status"]._report(
            [
                {
                    "meter_id": meter.id,
                    "is_online": True,
                    "seen_at": now,
                    "supply_state": "on",
                    "supply_seen_at": now,
                }
                for meter, _register in meters
            ]
        )
        self.env.cr.execute("""
            UPDATE energy_meter_status st SET read_at = r.moment, total = r.total
              FROM (SELECT DISTINCT ON (meter_id) meter_id, moment, total
                      FROM energy_reading_data WHERE state = 'accepted'
                     ORDER BY meter_id, moment DESC) r
             WHERE r.meter_id = st.meter_id""")
        self.env.invalidate_all()

    def _played(self, start):
        """Return pairs of a meter and the function from a moment to its register."""
        openings = {
            meter["serial"]: Decimal(meter["register"])
            for room in self._rooms()
            for meter in room["meters"]
        }
        played = []
        for bus in self._field():
            for values in bus["meters"]:
                meter = self.env["energy.meter"].search([("name", "=", values["serial"])])
                played.append(
                    (
                        meter,
                        self._register_function(
                            values, openings[values["serial"]], start, RESOLUTIONS[meter.commodity]
                        ),
                    )
                )
        return played

    @staticmethod
    def _register_function(values, opening, start, resolution):
        curve = curves()[values["curve"]]

        def register(moment):
            used = energy(curve, values["scale"], start, moment, offset_hours=8)
            return opening + displayed(used, resolution)

        return register

    def _settle_all(self):
        self.env["energy.settlement"]._settle_here()
        self.env.invalidate_all()

    def _top_up_low(self, day):
        """Tenants pay again when little is left; some stop doing so in the middle of the month."""
        late = day > self._start() + timedelta(days=LAST_PAYMENT_DAY)
        for account, ending in self._accounts():
            if account.payment_mode == "postpaid":
                continue
            if account.balance < 60 and not (ending and late):
                self._top_up(account, TOP_UP_STEP, f"{day:%Y-%m-%d}")

    def _end_history(self):
        """Leave some rooms where something is about to happen."""
        for account, ending in self._accounts():
            missing = Decimal(ending or 0) - Decimal(f"{account.balance:.2f}")
            if ending and missing > 0:
                self._top_up(account, missing, "last")

    def _accounts(self):
        """Return pairs of an account and the balance it is to end with, or None."""
        return [
            (account, room.get("ends_with"))
            for room in self._rooms()
            if (
                account := self.env["energy.meter"]
                .search([("name", "=", room["meters"][0]["serial"])])
                .account_id
            )
        ]

    @api.model
    def _start_demo(self, speed):
        """Let the clock go on where the readings end, arm the gateways, describe the field.

        :param float speed: project seconds per real second
        :return: the simulator's site
        """
        self.env.cr.execute("""
            SELECT GREATEST(energy_real_now(), max(moment)) FROM energy_reading_data
             WHERE state = 'accepted'""")
        now = self.env.cr.fetchone()[0].replace(microsecond=0)
        self.env["energy.clock"]._set(now, speed)
        gateways = self.env["energy.gateway"].search([("company_id", "=", self._company().id)])
        gateways.action_arm()
        gateways.action_release_cuts()
        statuses = {
            status.meter_id.name: status for status in self.env["energy.meter.status"].search([])
        }
        devices = {
            "gateways": [
                {
                    "port": bus["port"],
                    "meters": [
                        self._device(values, statuses[values["serial"]]) for values in bus["meters"]
                    ],
                }
                for bus in self._field()
            ]
        }
        return {"start": f"{now.isoformat()}Z", **devices}

    def _device(self, values, status):
        self.env.cr.execute(
            "SELECT total::text FROM energy_meter_status WHERE id = %s", [status.id]
        )
        return {
            "unit": values["unit"],
            "type": values["device"],
            "serial": values["serial"],
            "register": self.env.cr.fetchone()[0],
            "supply": "off" if status.supply_state == "off" else "on",
            "curve": values["curve"],
            "scale": values["scale"],
            "offset_hours": 8,
        }
