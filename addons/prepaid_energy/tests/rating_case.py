"""What the tests of rating have in common."""

from datetime import timedelta

from .common import START, EnergyCase

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class RatingCase(EnergyCase):
    """Accounts with tariffs, and what is due, used and posted for them."""

    @classmethod
    def open_account(cls, *meters, start=START, **values):
        """Open an account at its start, where that lies ahead."""
        if start > START:
            cls.set_clock(start)
        return super().open_account(*meters, start=start, **values)

    @classmethod
    def make_peak_and_valley(cls):
        """Return a tariff of 1.00 from 8:00 to 20:00 and of 0.50 at night."""
        return cls.make_tariff(
            "Meter",
            {"peak": ["1.000000"], "valley": ["0.500000"]},
            windows=[("peak", 8, 20)],
            rest="valley",
        )

    def day(self, number, hours=0):
        """Return midnight, plus hours, of the local day that lies so many days after 1 March."""
        return START + number * DAY + hours * HOUR

    def reads(self, meter, *rows):
        """Deliver readings (days after 1 March, total) and settle."""
        for number, total in rows:
            self.read(meter, self.day(number), total)
        self.settle()

    def due(self, account, commodity="electricity"):
        """Return what is posted by month, e.g. {"2026-03": "12.00"}; months of 0.00 are left out.

        Of several units in one month it is the sum.
        """
        units = self.env["energy.rating.unit"].search(
            [("account_id", "=", account.id), ("commodity", "=", commodity)]
        )
        posted = {}
        for unit in units:
            month = f"{unit.month:%Y-%m}"
            posted[month] = posted.get(month, 0) + unit.posted
        return {month: f"{money:.2f}" for month, money in sorted(posted.items()) if money}

    def units(self, account):
        """Return the account's units: (begin of the tier period, first meter, month, posted)."""
        return [
            (
                f"{unit.period_start}",
                unit.supply_id.meter_id.name or "",
                f"{unit.month:%Y-%m}",
                f"{unit.posted:.2f}",
            )
            for unit in self.env["energy.rating.unit"]
            .search([("account_id", "=", account.id)])
            .sorted(lambda unit: (unit.period_start, unit.supply_id.id, unit.month))
        ]

    def lines(self, account, *bands):
        """Return the lines of some bands: (day, meter, tier, quantity, amount)."""
        return [
            (
                f"{line.local_date:%m-%d}",
                line.meter_id.name,
                line.tier,
                f"{line.quantity:.3f}",
                f"{line.amount:.6f}",
            )
            for line in self.env["energy.usage"].search(
                [("account_id", "=", account.id), ("band", "in", bands)],
                order="local_date, meter_id, tier, band",
            )
        ]

    def decide(self, meter, number, state):
        """Give the accepted reading of a day another state, and queue what that changes."""
        moment = self.day(number)
        self.env.cr.execute(
            "SELECT COALESCE(max(moment), %(moment)s) FROM energy_reading_data"
            " WHERE meter_id = %(meter)s AND state = 'accepted' AND moment < %(moment)s",
            {"meter": meter.id, "moment": moment},
        )
        [since] = self.env.cr.fetchone()
        self.env.cr.execute(
            "UPDATE energy_reading_data SET state = %s"
            " WHERE meter_id = %s AND moment = %s AND state = 'accepted'",
            [state, meter.id, moment],
        )
        self.env["energy.settlement.queue"]._add([(meter.id, since)])

    def correct(self, meter, number, total):
        """Let another reading stand for the accepted one of a day, whatever its neighbours say."""
        self.decide(meter, number, "superseded")
        self.env.cr.execute(
            "INSERT INTO energy_reading_data"
            "       (meter_id, moment, total, source, state, site_id, company_id)"
            " SELECT meter_id, moment, %s, 'typed', 'accepted', site_id, company_id"
            "   FROM energy_reading_data"
            "  WHERE meter_id = %s AND moment = %s ORDER BY id DESC LIMIT 1",
            [total, meter.id, self.day(number)],
        )

    def mark(self, account):
        """Return up to where each supply of an account is settled, in days after 1 March."""
        return [
            supply.mark_id and (supply.mark_id.settled_until - START) / DAY
            for supply in account.supply_ids.sorted("start_at")
        ]

    def exchange(self, account, old, new, moment, closing, opening, **values):
        """Replace a meter."""
        exchange = self.env["energy.meter.exchange"].create(
            {
                "supply_id": account.supply_ids.filtered(
                    lambda supply: supply.meter_id == old and not supply.end_at
                ).id,
                "moment": moment,
                "new_meter_id": new.id,
                "opening_register": opening,
                "reason": "Display broken",
                **values,
            }
        )
        exchange.closing_register = closing
        exchange.action_confirm()
        self.settle()
        return account.supply_ids.filtered(lambda supply: supply.meter_id == new)
