from datetime import date, timedelta
from decimal import Decimal

from odoo.tests import tagged

from ..models import energy_meter_finding_clock, energy_rating_registers
from .common import START
from .planting import PropertyCase
from .rating_case import RatingCase

HOUR = timedelta(hours=1)
RATING = energy_rating_registers.EnergyRating
FINDING = energy_meter_finding_clock.EnergyMeterFinding


@tagged("post_install", "-at_install")
class TestClockBands(RatingCase, PropertyCase):
    """A meter's own band registers count only while its clock is right."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # By the plan half of a day's 24 kWh are peak: 12 x 1.00 + 12 x 0.50 = 18.00
        cls.tariff = cls.make_peak_and_valley()

    def new_account(self):
        self.set_clock(START)
        meter = self.make_meter(f"K{self.env['energy.meter'].search_count([])}")
        account = self.open_account(meter, tariff=self.tariff, activate=False)
        account.supply_ids.term_ids.write(
            {"band_source": "meter", "plan_version_id": self.tariff.version_ids.id}
        )
        account.action_activate()
        return meter, account

    def deliver(self, meter, day, peak, valley):
        """Deliver the registers of a midnight; a day uses 24 kWh. Settle."""
        self.set_clock(self.day(day))
        bands = (None, Decimal(peak), None, Decimal(valley))
        self.env["energy.reading"]._ingest(
            [(meter.id, self.day(day), Decimal(24 * day), bands, "poll")]
        )
        self.settle()

    def look(self, meter, seconds, moment):
        """The meter says at a moment by how much its clock is off; look and settle."""
        self.set_clock(moment)
        self.env["energy.meter.status"]._report(
            [{"meter_id": meter.id, "clock_offset": seconds, "seen_at": moment}]
        )
        self.env["energy.meter.finding"]._find(self.site)
        self.settle()

    def entries(self, account):
        self.env.cr.execute(
            "SELECT amount::text FROM energy_wallet_entry e JOIN energy_wallet w"
            " ON w.id = e.wallet_id WHERE w.account_id = %s ORDER BY e.number",
            [account.id],
        )
        return [f"{Decimal(amount):.2f}" for (amount,) in self.env.cr.fetchall()]

    def clocks(self, account):
        """Return whose clock each entry of the account goes by, oldest first."""
        explanation = self.env["energy.explanation"]
        return [
            [supply["clock"] for supply in explanation._explain(entry)["supplies"]]
            for entry in self.env["energy.wallet.entry"].search(
                [("account_id", "=", account.id)], order="number"
            )
        ]

    def check_clock_off(self):
        meter, account = self.new_account()
        self.deliver(meter, 1, "20", "4")  # the opening reading has no bands: by the plan
        self.deliver(meter, 2, "25", "23")  # 5 x 1.00 + 19 x 0.50
        self.deliver(meter, 3, "45", "27")  # 20 x 1.00 + 4 x 0.50
        self.assertEqual(self.entries(account), ["-18.00", "-14.50", "-22.00"])
        # Found off with that reading: its day goes by platform time after all.
        self.look(meter, -3600, self.day(3))
        self.assertEqual(self.entries(account)[3:], ["4.00"])
        self.deliver(meter, 4, "50", "46")
        self.look(meter, 0, self.day(4, 1))
        # What was read while it was off bounds the next day as well.
        self.deliver(meter, 5, "70", "50")
        self.deliver(meter, 6, "75", "69")
        self.assertEqual(self.entries(account)[4:], ["-18.00", "-18.00", "-14.50"])
        # And so it stays, however often it is counted.
        self.env["energy.settlement.queue"]._add([(meter.id, START)])
        self.settle()
        self.assertEqual(len(self.entries(account)), 7)
        self.assertEqual(self.due(account), {"2026-03": "101.00"})
        return account

    def test_use_goes_by_platform_time_while_the_clock_is_off(self):
        self.holds(
            self.check_clock_off,
            (RATING._load_registers, "f.since <= r.moment", "FALSE"),
            (RATING._load_registers, "f.closed_at >= r.moment", "TRUE"),
            (FINDING._queue_what_registers_counted, "r.moment < f.since", "r.moment = f.since"),
            (FINDING.create, "if clocks:", "if not clocks:"),
        )

    def test_each_charge_says_which(self):
        account = self.check_clock_off()
        platform, meter, both = ["platform"], ["meter"], ["both"]
        # As it counts now; the fourth entry, which took the third day back, counts the month anew.
        self.assertEqual(
            self.clocks(account), [platform, meter, platform, both, platform, platform, meter]
        )

    def test_billed_line_says_which(self):
        account = self.check_clock_off()
        self.env["energy.billing.period"]._freeze({account.id: date(2026, 3, 6)}, cut=True)
        lines = self.env["energy.billing.line"].search([("account_id", "=", account.id)])
        self.assertEqual(set(lines.mapped("band_source")), {"both"})
        clock = self.env["energy.meter.finding"].search(
            [("meter_id", "=", account.supply_ids.meter_id.id), ("kind", "=", "clock")]
        )
        for since, closed_at, source in (
            (START, self.day(40), "platform"),
            (START, self.day(3), "both"),
            (self.day(40), False, "meter"),
        ):
            clock.write({"since": since, "closed_at": closed_at})
            lines.invalidate_recordset()
            self.assertEqual(set(lines.mapped("band_source")), {source})

    def test_finding_of_another_kind_changes_nothing(self):
        meter, account = self.new_account()
        self.env["energy.meter.finding"].create(
            {"meter_id": meter.id, "kind": "silent", "since": START, "code": "silent"}
        )
        self.deliver(meter, 1, "20", "4")
        self.deliver(meter, 2, "25", "23")
        self.assertEqual(self.entries(account), ["-18.00", "-14.50"])

    def test_person_that_closes_the_finding_trusts_the_registers_again(self):
        meter, account = self.new_account()
        self.deliver(meter, 1, "20", "4")
        self.look(meter, -3600, self.day(1, 1))
        finding = self.env["energy.meter.finding"].search([("meter_id", "=", meter.id)])
        finding._close("Set by hand at noon.")
        self.deliver(meter, 2, "25", "23")
        self.assertEqual(self.entries(account), ["-18.00", "-14.50"])
