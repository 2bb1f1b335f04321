from datetime import datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models import energy_meter_finding, energy_meter_finding_search
from ..models.energy_multiplier_change import EnergyMultiplierChange as Change
from ..models.energy_reading_acceptance import EnergyReading as Acceptance
from .planting import PropertyCase
from .test_gap import DAY, HOUR, MARCH_2, GapCase

SEARCH = energy_meter_finding_search.EnergyMeterFinding


@tagged("post_install", "-at_install")
class TestFinding(GapCase, PropertyCase):
    """What is odd about a meter becomes a to-do, and ends with its cause."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.findings = cls.env["energy.meter.finding"]

    def new_meter(self, **values):
        self.set_clock(MARCH_2)
        meter = self.make_meter(f"F{self.env['energy.meter'].search_count([])}", **values)
        account = self.open_account(meter, tariff=self.halves, start=MARCH_2)
        return meter, account

    def found(self, meter, state="open"):
        return [
            (finding.kind, finding.details)
            for finding in self.findings.search(
                [("meter_id", "=", meter.id), ("state", "=", state)], order="id"
            )
        ]

    def look(self, moment=None):
        if moment:
            self.set_clock(moment)
        self.findings._find(self.site)
        self.env.invalidate_all()

    def stand_still(self, meter, start, end, total=None):
        """Deliver readings every hour that all show what is shown at the start."""
        total = self.register(start) if total is None else Decimal(total)
        moment = start + HOUR
        self.set_clock(end)
        rows = []
        while moment <= end:
            rows.append((meter.id, moment, total, None, "poll"))
            moment += HOUR
        self.env["energy.reading"]._ingest(rows)
        self.settle()

    def test_a_site_that_fails_blinds_no_other(self):
        sites = self.env["energy.property"].search([("kind", "=", "site")])
        bad = self.site.copy({"name": "Bad", "supply_state": "watch"})
        for name, looks in (("_cron_find", "_find"), ("_cron_watch", "_watch")):
            seen = []

            def look(_findings, site, seen=seen):
                seen.append(site)
                if site == bad:
                    raise ValueError("no such zone")

            with (
                self.subTest(name),
                patch.object(type(self.findings), looks, look),
                patch.object(type(self.env["ir.cron"]), "_commit_progress", lambda *a, **k: 60),
                self.assertLogs("odoo.addons.prepaid_energy.models.energy_task", "ERROR") as log,
            ):
                getattr(self.findings, name)()
            self.assertEqual(set(seen), {*sites, bad})
            self.assertEqual(len(log.output), 1)
            self.assertIn("no such zone", log.output[0])

    # --- R4 -----------------------------------------------------------------------------------

    def check_frozen_is_found(self):
        meter, _account = self.new_meter()
        start = MARCH_2 + 10 * DAY + 12 * HOUR  # Thursday noon
        self.hourly(meter, MARCH_2, start)
        self.settle()
        self.stand_still(meter, start, start + 23 * HOUR)
        self.look()
        self.assertEqual(self.found(meter), [])
        self.stand_still(meter, start + 23 * HOUR, start + 25 * HOUR, "124")
        self.look()
        self.assertEqual([kind for kind, _details in self.found(meter)], ["frozen"])
        self.assertIn("Shows 124 all", self.found(meter)[0][1])
        finding = self.findings.search([("meter_id", "=", meter.id)])
        self.assertEqual(finding.since, start)
        # It moves again: closed by itself.
        self.read(meter, start + 26 * HOUR, "125")
        self.settle()
        self.look()
        self.assertEqual(self.found(meter), [])
        self.assertEqual((finding.state, finding.is_standing), ("closed", False))

    def test_frozen_is_found(self):
        self.holds(
            self.check_frozen_is_found,
            (SEARCH._is_in_use, "all(by_kind[kind]) for", "not any(by_kind[kind]) for"),
            (SEARCH._counted, "first + number * DAY: 0", "until + number * DAY: 0"),
            (energy_meter_finding.EnergyMeterFinding._sync, "gone._end()", "pass"),
        )

    def check_true_zero_is_no_finding(self):
        """An empty shop counts nothing for weeks."""
        meter, _account = self.new_meter()
        self.set_clock(MARCH_2 + 21 * DAY)
        self.env["energy.reading"]._ingest(
            [
                (meter.id, MARCH_2 + number * HOUR, Decimal(0), None, "poll")
                for number in range(1, 21 * 24 + 1)
            ]
        )
        self.settle()
        self.look()
        self.assertEqual(self.found(meter), [])

    def test_true_zero_is_no_finding(self):
        self.holds(
            self.check_true_zero_is_no_finding,
            (SEARCH._is_in_use, " and all(by_kind[kind]) for", " for"),
        )

    def test_used_now_and_then(self):
        """A meter that does not count every day may stand still for one."""
        meter, _account = self.new_meter()
        self.hourly(meter, MARCH_2, MARCH_2 + 7 * DAY)
        self.stand_still(meter, MARCH_2 + 7 * DAY, MARCH_2 + 9 * DAY)
        self.look()
        self.assertEqual([kind for kind, _details in self.found(meter)], ["frozen"])
        rows = [
            (meter.id, MARCH_2 + 9 * DAY + number * HOUR, Decimal(84) + number, None, "poll")
            for number in range(1, 25)
        ]
        self.set_clock(rows[-1][1] + DAY)
        self.env["energy.reading"]._ingest(rows)
        self.read(meter, rows[-1][1] + DAY, "108")
        self.settle()
        self.look()
        self.assertEqual(self.found(meter), [])

    def test_closed_on_weekends(self):
        """An office that uses nothing on weekends is no finding on a weekend."""
        meter, _account = self.new_meter()
        rows, total = [], Decimal(0)
        for hour in range(1, 21 * 24 - 6):
            moment = MARCH_2 + hour * HOUR
            if ((hour - 1) // 24) % 7 < 5:
                total += 1
            rows.append((meter.id, moment, total, None, "poll"))
        self.set_clock(moment)
        self.env["energy.reading"]._ingest(rows)
        self.settle()
        self.look()
        self.assertEqual(self.found(meter), [])

    def test_frozen_under_power(self):
        """A meter that reports power and counts nothing is a finding, whatever it used before."""
        meter, _account = self.new_meter()
        self.stand_still(meter, MARCH_2, MARCH_2 + 2 * DAY)
        self.env["energy.meter.status"]._report([{"meter_id": meter.id, "power": 1.5}])
        self.look()
        self.assertIn("reports 1.5 kW", self.found(meter)[0][1])
        # With the supply off a register stands still by right.
        self.env["energy.meter.status"]._report([{"meter_id": meter.id, "supply_state": "off"}])
        self.look()
        self.assertEqual(self.found(meter), [])

    # --- R9 -----------------------------------------------------------------------------------

    def check_clock(self):
        meter, account = self.new_meter()
        for offset, is_found in ((240, False), (-600, True), (3 * 3600, True), (10, False)):
            self.env["energy.meter.status"]._report(
                [{"meter_id": meter.id, "clock_offset": offset}]
            )
            self.look()
            self.assertEqual([kind for kind, _d in self.found(meter)], ["clock"] * is_found)
        self.assertEqual(
            self.found(meter, "closed"), [("clock", self.found(meter, "closed")[0][1])]
        )
        self.assertIn("180 minutes", self.found(meter, "closed")[0][1])
        term = account.supply_ids.term_ids.sudo()
        term._write({"band_source": "meter", "plan_version_id": term.tariff_id.version_ids[:1].id})
        self.env["energy.meter.status"]._report(
            [{"meter_id": meter.id, "clock_offset": -(365 * 86400)}]
        )
        self.look()
        self.assertIn("rate period registers are not right", self.found(meter)[0][1])

    def test_clock(self):
        self.holds(
            self.check_clock,
            (SEARCH._clocks, "abs(t.clock_offset)", "t.clock_offset"),
            (SEARCH._clocks, "energy_clock_limit * 60", "energy_clock_limit * 6000"),
        )

    def test_moments_of_the_platform_rule(self):
        """A reading from another time than the platform's is not believed; none is billed by it."""
        meter, account = self.new_meter()
        self.hourly(meter, MARCH_2, MARCH_2 + 10 * HOUR)
        self.settle()
        balance = account.balance
        now = MARCH_2 + 10 * HOUR
        for moment in (now + timedelta(minutes=10), now + 3 * HOUR, datetime(2099, 1, 1)):
            counts = self.env["energy.reading"]._ingest(
                [(meter.id, moment, Decimal(50), None, "poll")]
            )
            self.assertEqual(dict(counts), {"held": 1})
        # Before the first reading of the supply: 1970 charges nobody.
        self.env["energy.reading"]._ingest(
            [(meter.id, datetime(1970, 1, 1), Decimal(0), None, "poll")]
        )
        self.settle()
        self.assertEqual(account.balance, balance)

    # --- silence ------------------------------------------------------------------------------

    def test_silent(self):
        meter, _account = self.new_meter(read_interval=30)
        typed, _account = self.new_meter()
        self.env.flush_all()
        self.env.cr.execute("UPDATE energy_meter SET driver = 'field' WHERE id = %s", [meter.id])
        self.hourly(meter, MARCH_2, MARCH_2 + DAY)
        self.look(MARCH_2 + DAY + 4 * HOUR)
        self.assertEqual(self.found(meter), [])
        self.look(MARCH_2 + DAY + 5 * HOUR)
        self.assertEqual([kind for kind, _details in self.found(meter)], ["silent"])
        self.assertEqual(self.found(typed), [])
        # Estimates are no answer.
        self.company.energy_estimate_after = 2
        self.set_clock(MARCH_2 + 3 * DAY)
        self.env["energy.estimate"]._make(self.env["energy.estimate"]._silent())
        self.settle()
        self.look()
        self.assertEqual([kind for kind, _details in self.found(meter)], ["silent"])
        self.read(meter, MARCH_2 + 3 * DAY, "40")
        self.settle()
        self.look()
        self.assertEqual(self.found(meter), [])

    # --- R7 -----------------------------------------------------------------------------------

    def check_multiplier(self):
        """R7: transformers changed on site, unannounced: held and found."""
        meter, account = self.new_meter()
        readings = self.env["energy.reading"]

        def read(hours, total, multiplier):
            moment = MARCH_2 + hours * HOUR
            self.set_clock(moment)
            return dict(
                readings._ingest(
                    [(meter.id, moment, Decimal(total), None, "poll")],
                    {(meter.id, moment): Decimal(multiplier)},
                )
            )

        self.assertEqual(read(1, "1", "1"), {"accepted": 1})
        self.assertEqual(read(2, "2", "2"), {"held": 1})
        self.settle()
        held = readings.search([("meter_id", "=", meter.id), ("state", "=", "held")])
        self.assertEqual((held.reason, held.expected), ("multiplier", "1"))
        self.assertEqual(
            self.found(meter), [("multiplier", "Reports the multiplier 2, its supply says 1.")]
        )
        self.assertEqual(f"{account.balance:.2f}", "-0.10")
        change = self.env["energy.multiplier.change"].create(
            {
                "supply_id": account.supply_ids.id,
                "moment": MARCH_2 + HOUR,
                "multiplier": 2,
                "reason": "Larger transformers",
            }
        )
        change.action_show_consequence()
        # 1 kWh twice, held until now
        self.assertEqual(change.consequence, [["2026-03-01", "-0.20"]])
        change.action_confirm()
        held.invalidate_recordset()
        self.assertEqual((held.state, held.decided_by_id.id), ("accepted", False))
        self.assertEqual(f"{account.balance:.2f}", "-0.30")
        self.assertEqual(read(3, "3", "2"), {"accepted": 1})
        self.settle()
        self.assertEqual(self.found(meter), [])
        # 1 kWh, and 2 x 2 kWh
        self.assertEqual(f"{account.balance:.2f}", "-0.50")

    def test_multiplier(self):
        self.holds(
            self.check_multiplier,
            (Acceptance._ingest, "multiplier=multipliers.get((meter, moment))", "multiplier=None"),
            (Acceptance._ingest, 'if verdict.reason == "multiplier":', "if False:"),
            (Change._apply, "if self._is_said():", "if False:"),
        )

    # --- closing by hand ----------------------------------------------------------------------

    def test_closed_by_hand_stays_closed_while_the_cause_stands(self):
        meter, _account = self.new_meter()
        report = self.env["energy.meter.status"]._report
        report([{"meter_id": meter.id, "clock_offset": 900}])
        self.look()
        finding = self.findings.search([("meter_id", "=", meter.id)])
        action = finding.action_close()
        closing = self.env["energy.finding.closing"].with_context(**action["context"])
        closing.create({"reason": "Clock is set on Friday"}).action_confirm()
        self.assertEqual((finding.state, finding.reason), ("closed", "Clock is set on Friday"))
        self.assertEqual(finding.user_id, self.env.user)
        report([{"meter_id": meter.id, "clock_offset": 960}])
        self.look()
        self.assertEqual(self.found(meter), [])
        report([{"meter_id": meter.id, "clock_offset": 0}])
        self.look()
        self.assertFalse(finding.is_standing)
        self.assertEqual(finding.reason, "Clock is set on Friday")
        report([{"meter_id": meter.id, "clock_offset": 900}])
        self.look()
        self.assertEqual([kind for kind, _details in self.found(meter)], ["clock"])

    def test_who_may_close(self):
        meter, _account = self.new_meter()
        self.findings._sync("other", {meter.id: (MARCH_2, "Seal broken", {})}, [])
        finding = self.findings.search([("meter_id", "=", meter.id)])
        self.assertEqual(finding.details, "Seal broken")
        for role, may in (("viewer", False), ("engineer", True)):
            user = self.new_user(role, f"finding_{role}")
            theirs = finding.with_user(user)
            if may:
                with self.refused(UserError, "Say why"):
                    theirs._close(" ")
                theirs._close("Sealed again")
            else:
                with self.refused(AccessError, "right to close"):
                    theirs._close("No")
        self.assertEqual(finding.state, "closed")
