from odoo.tests import tagged

from ..models.energy_rating_rows import EnergyRating as Rows
from .planting import PropertyCase
from .rating_case import RatingCase


@tagged("post_install", "-at_install")
class TestRatingCharges(PropertyCase, RatingCase):
    """Standing charges, minimum charges and chronological tiers, by hand calculation."""

    def test_standing_charge_of_each_complete_day(self):
        tariff = self.make_tariff("Day", {"flat": ["0.600000"]}, charges={"per_day": 0.5})
        meter = self.make_meter("S1")
        account = self.open_account(meter, tariff=tariff, start=self.day(0, 10))
        # 1 March is over with midnight; 2 March is not.
        self.read(meter, self.day(1, 6), "10")
        self.settle()
        self.assertEqual(self.lines(account, "standing"), [("03-01", "S1", 0, "0.000", "0.500000")])
        self.assertEqual(self.due(account), {"2026-03": "6.50"})
        # To the moment of midnight: 2 March as well.
        self.reads(meter, (2, "20"))
        self.assertEqual(self.due(account), {"2026-03": "13.00"})
        self.reads(meter, (2.25, "20"), (5, "20"))
        self.assertEqual(self.due(account), {"2026-03": "14.50"})
        self.assertEqual(len(self.lines(account, "standing")), 5)
        # Nothing new: nothing charged.
        self.env["energy.settlement.queue"]._add([(meter.id, self.day(0))])
        self.settle()
        self.assertEqual(len(self.entries(account)), 3)

    def test_month_is_exact(self):
        """A third of it a day adds up: 10.00 in March, 10 / 30 x 3 in April."""
        tariff = self.make_tariff("Month", {"flat": ["0.000000"]}, charges={"per_month": 10})
        meter = self.make_meter("S2")
        account = self.open_account(meter, tariff=tariff)
        self.reads(meter, (7, "0"), (31, "0"), (34, "0"))
        self.assertEqual(self.due(account), {"2026-03": "10.00", "2026-04": "1.00"})

    def test_day_is_paid_once_in_a_change_of_customer(self):
        """Closed in the middle of a day: the one that begins pays it."""
        tariff = self.make_tariff("Day", {"flat": ["0.600000"]}, charges={"per_day": 0.5})
        for name, hours, days in (("S3", 12, (2, 1)), ("S4", 0, (2, 1)), ("S5", -1, (1, 2))):
            meter = self.make_meter(name)
            account = self.open_account(meter, tariff=tariff)
            self.set_clock(self.day(2, hours))
            change = self.env["energy.account.change"].create(
                {
                    "kind": "customer",
                    "account_id": account.id,
                    "moment": self.day(2, hours),
                    "reason": "Moved",
                    "new_partner_id": self.env["res.partner"].create({"name": "Next"}).id,
                    "leftover": "transfer",
                }
            )
            self.top_up(account, 100)
            change.line_ids.register = 0
            change.action_confirm()
            self.reads(meter, (3, "0"))
            new = change.new_account_id
            self.assertEqual(
                (len(self.lines(account, "standing")), len(self.lines(new, "standing"))), days
            )

    def test_charge_of_the_version_in_force_when_the_day_ends(self):
        tariff = self.make_tariff("Day", {"flat": ["0.600000"]}, charges={"per_day": 0.5})
        dear = self.make_tariff("Dear", {"flat": ["0.600000"]}, charges={"per_day": 0.8})
        meter = self.make_meter("S6")
        account = self.open_account(meter, tariff=tariff)
        account.supply_ids.sudo()._set_tariff(dear, self.day(1, 12))
        self.add_version(
            dear, {"flat": ["0.600000"]}, date_from="2026-03-04", charges={"per_day": 1}
        )
        self.reads(meter, (5, "0"))
        self.assertEqual(
            [line[-1] for line in self.lines(account, "standing")],
            ["0.500000", "0.800000", "0.800000", "1.000000", "1.000000"],
        )

    def test_two_meters_pay_each(self):
        tariff = self.make_tariff("Day", {"flat": ["0.600000"]}, charges={"per_day": 0.5})
        meters = [self.make_meter("S7"), self.make_meter("S8")]
        account = self.open_account(*meters, tariff=tariff)
        self.reads(meters[0], (2, "0"))
        self.reads(meters[1], (1, "0"))
        self.assertEqual(self.due(account), {"2026-03": "1.50"})

    def test_price_published_late(self):
        """A version from 3 March with a standing charge is approved on 6 March."""
        tariff = self.make_tariff("Day", {"flat": ["0.600000"]})
        meter = self.make_meter("S9")
        account = self.open_account(meter, tariff=tariff)
        self.reads(meter, (5, "10"))
        self.assertEqual(self.due(account), {"2026-03": "6.00"})
        self.add_version(
            tariff, {"flat": ["0.600000"]}, date_from="2026-03-03", charges={"per_day": 0.5}
        )
        self.settle()
        # 3, 4 and 5 March
        self.assertEqual(self.due(account), {"2026-03": "7.50"})

    def test_minimum_of_a_month_when_it_is_over(self):
        tariff = self.make_tariff(
            "Least", {"flat": ["0.600000"]}, charges={"per_day": 0.1, "minimum": 20}
        )
        meters = [self.make_meter("M1"), self.make_meter("M2")]
        account = self.open_account(*meters, tariff=tariff)
        self.reads(meters[0], (31, "10"))
        # 6.00 and 31 x 0.10; the other meter is not read yet.
        self.assertEqual(self.due(account), {"2026-03": "9.10"})
        self.reads(meters[1], (30, "5"))
        self.assertEqual(self.due(account), {"2026-03": "15.10"})
        self.reads(meters[1], (32, "7"))
        # Of the last 2 kWh 1 is March's: 16 x 0.60 + 62 x 0.10 = 15.80, so 4.20 are missing.
        self.assertEqual(self.lines(account, "minimum"), [("03-31", "M1", 0, "0.000", "4.200000")])
        self.assertEqual(self.due(account)["2026-03"], "20.00")
        # A late reading: less is missing.
        self.reads(meters[1], (31, "7"))
        self.assertEqual(self.lines(account, "minimum"), [("03-31", "M1", 0, "0.000", "3.600000")])
        self.assertEqual(self.due(account), {"2026-03": "20.00", "2026-04": "0.10"})
        # April: 100 kWh are more than the minimum.
        self.reads(meters[0], (61, "110"))
        self.reads(meters[1], (61, "7"))
        self.assertEqual(self.due(account)["2026-04"], "66.00")
        self.assertEqual(len(self.lines(account, "minimum")), 1)

    def test_minimum_by_days_where_the_account_ends(self):
        tariff = self.make_tariff("Least", {"flat": ["0.600000"]}, charges={"minimum": 31})
        meter = self.make_meter("M3")
        account = self.open_account(meter, tariff=tariff, start=self.day(3))
        self.top_up(account, 100)
        self.read(meter, self.day(13, 12), "5")
        self.settle()
        self.set_clock(self.day(13, 12))
        change = self.env["energy.account.change"].create(
            {
                "kind": "close",
                "account_id": account.id,
                "moment": self.day(13, 12),
                "reason": "Moved out",
                "leftover": "refund",
            }
        )
        change.line_ids.register = 5
        change.action_confirm()
        # 4 to 13 March are 10 days: 10.00; 3.00 for 5 kWh.
        self.assertEqual(self.lines(account, "minimum"), [("03-14", "M3", 0, "0.000", "7.000000")])
        self.assertEqual(self.due(account), {"2026-03": "10.00"})

    def test_minimum_of_an_account_that_is_open_again_in_the_same_month(self):
        """What was charged at the closing goes back, and comes by all days when the month ends."""
        tariff = self.make_tariff("Least", {"flat": ["0.600000"]}, charges={"minimum": 31})

        def check():
            meter = self.make_meter("M6")
            account = self.open_account(meter, tariff=tariff)
            self.top_up(account, 100)
            for kind, number in (("close", 10), ("reopen", 20)):
                self.set_clock(self.day(number))
                change = self.env["energy.account.change"].create(
                    {
                        "kind": kind,
                        "account_id": account.id,
                        "moment": self.day(number),
                        "reason": "Moved",
                        "leftover": "refund",
                    }
                )
                change.line_ids.register = 5
                change.action_confirm()
                self.settle()
                if kind == "close":
                    self.assertEqual(self.due(account), {"2026-03": "10.00"})
                    # Nobody's: what changes at the reopening lies behind the end.
                    self.reads(meter, (15, "5"))
            self.reads(meter, (25, "6"))
            self.assertEqual(self.due(account), {"2026-03": "3.60"})
            self.reads(meter, (31, "6"))
            # 10 days and 11 days
            self.assertEqual(self.due(account), {"2026-03": "21.00"})
            self.assertEqual(
                self.lines(account, "minimum"), [("03-31", "M6", 0, "0.000", "17.400000")]
            )

        self.holds(check, (Rows._load_usage, "x.band = %s)", "x.band = %s AND FALSE)"))

    def test_minimum_of_a_chain_of_meters(self):
        """An exchange: the days count once, the charge stands at the first meter."""
        for carried in (True, False):
            tariff = self.make_tariff(
                f"Least {carried}",
                {"flat": ["0.500000", "1.000000"]},
                limits=(100,),
                charges={"minimum": 31},
            )
            old, new = self.make_meter(f"M4{carried}"), self.make_meter(f"M5{carried}")
            account = self.open_account(old, tariff=tariff)
            self.reads(old, (10, "10"))
            self.set_clock(self.day(10))
            self.exchange(account, old, new, self.day(10), 10, 0, carry_counter=carried)
            self.reads(new, (31, "20"))
            # 30 x 0.50 of 31.00; or 5.00 of 10.00 and 10.00 of 21.00
            self.assertEqual(
                self.lines(account, "minimum"),
                [("03-31", old.name, 0, "0.000", "16.000000")]
                if carried
                else [
                    ("03-10", old.name, 0, "0.000", "5.000000"),
                    ("03-31", new.name, 0, "0.000", "11.000000"),
                ],
            )
            self.assertEqual(self.due(account), {"2026-03": "31.00"})

    def test_charges_on_the_bill(self):
        """31 days x 0.50, and what is missing to the minimum, in lines of their own."""
        tariff = self.make_tariff(
            "All", {"flat": ["0.600000"]}, charges={"per_day": 0.5, "minimum": 20}
        )
        meter = self.make_meter("B1")
        account = self.open_account(meter, tariff=tariff)
        self.reads(meter, (31, "2"), (32, "3"))
        # 1.20 + 15.50 = 16.70; 3.30 are missing
        period = self.env["energy.billing.period"].search(
            [("account_id", "=", account.id)], order="date_from", limit=1
        )
        self.set_clock(self.day(33))
        period.sudo()._freeze({account.id: period.date_to})
        self.assertEqual(
            [
                (line.band, line.tier, line.quantity, line.price, f"{line.amount:.2f}")
                for line in period.line_ids.sorted("id")
            ],
            [
                ("flat", 1, 2, 0.6, "1.20"),
                ("minimum", 0, 1, 3.3, "3.30"),
                ("standing", 0, 31, 0.5, "15.50"),
            ],
        )
        move = period._invoice()
        self.assertEqual(move.amount_total, 20)
        lines = move.invoice_line_ids.sorted("quantity")
        self.assertEqual(
            [(line.quantity, line.product_uom_id.name) for line in lines],
            [(1, "Units"), (2, "KWH"), (31, "Days")],
        )
        self.assertIn("Standing charge\nB1", lines[2].name)
        self.assertNotIn("tier", lines[2].name)
        [statement] = account._statements(period.date_from)
        self.assertEqual(
            [(line["unit"], f"{line['quantity']:.0f}") for line in statement.use],
            [("kWh", "2"), ("", "1"), ("days", "31")],
        )

    def test_chronological_tiers(self):
        """What is used after the limit is dear, whatever the day's rate period before was."""
        windows = [("peak", 8, 20)]
        prices = {"peak": ["1.000000", "3.000000"], "valley": ["0.500000", "0.600000"]}
        tariff = self.make_tariff(
            "Chronological",
            prices,
            limits=(100,),
            windows=windows,
            rest="valley",
            allocation="chronological",
        )

        def account(name, rows):
            meter = self.make_meter(name)
            account = self.open_account(meter, tariff=tariff)
            for hours, total in rows:
                self.read(meter, self.day(0, hours), total)
                self.settle()
            return account

        # 1 March: 80 peak. 2 March: 10 peak, 30 valley behind 80: half of each in tier 2.
        # 3 March: 10 peak in tier 2.
        rows = ((8, "0"), (20, "80"), (32, "80"), (44, "90"), (48, "120"), (56, "120"), (68, "130"))
        one = account("C1", rows)
        # 80 x 1 + 5 x 1 + 5 x 3 + 15 x 0.5 + 15 x 0.6 + 10 x 3 = 146.50
        self.assertEqual(self.due(one), {"2026-03": "146.50"})
        # All at once, and with a reading of the first day that comes last.
        meter = self.make_meter("C2")
        other = self.open_account(meter, tariff=tariff)
        for hours, total in (*rows[2:], rows[0]):
            self.read(meter, self.day(0, hours), total)
        self.settle()
        before = self.due(other)
        self.read(meter, self.day(0, 20), "80")
        self.settle()
        self.assertNotEqual(before, self.due(other))
        self.assertEqual(self.due(other), {"2026-03": "146.50"})
        self.assertEqual(
            [line[2:] for line in self.lines(one, "peak", "valley")],
            [line[2:] for line in self.lines(other, "peak", "valley")],
        )
