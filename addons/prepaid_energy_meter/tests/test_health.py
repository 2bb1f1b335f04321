from datetime import timedelta

from odoo.addons.prepaid_energy import clock
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..connector import field, store
from ..modbus.tally import Tally
from ..models.energy_field_health import EnergyFieldHealth as Health
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestHealth(PropertyCase, FieldCommon):
    def keep(self, **tallies):
        """Keep tallies of the two meters."""
        meters = {"meter": self.meter, "valve": self.valve}
        store.keep_health(
            self.env,
            {self.gateway.id: {meters[name].id: tally for name, tally in tallies.items()}},
        )

    def test_counts_add_up_by_hour_and_day(self):
        self.keep(
            meter=Tally(good=3, timeouts=1, latency=150.0, longest=70.0),
            valve=Tally(good=1, busy=2, latency=90.0, longest=90.0),
        )
        self.keep(meter=Tally(good=5, wrong=2, latency=250.0, longest=60.0))
        hour = self.env["energy.gateway.hour"].search([("gateway_id", "=", self.gateway.id)])
        # 9 of 14; 490 ms over 9 good reads.
        self.assertRecordValues(
            hour,
            [
                {
                    "good": 9,
                    "bad": 5,
                    "timeouts": 1,
                    "busy": 2,
                    "wrong": 2,
                    "good_share": 64.29,
                    "latency_ms": 54.4,
                    "longest_ms": 90.0,
                    "site_id": self.site.id,
                    "company_id": self.site.company_id.id,
                }
            ],
        )
        self.assertEqual(
            hour.hour, clock.now(self.env.cr).replace(minute=0, second=0, microsecond=0)
        )
        days = self.env["energy.meter.day"].search([("gateway_id", "=", self.gateway.id)])
        self.assertRecordValues(
            days,
            # Worst first: 1 of 3, then 8 of 11.
            [
                {"meter_id": self.valve.id, "good": 1, "bad": 2, "good_share": 33.33},
                {"meter_id": self.meter.id, "good": 8, "bad": 3, "good_share": 72.73},
            ],
        )

    def check_each_read_weighs_the_same(self):
        """1 failed read of one meter beside 999 good ones of 10 ms of the other: 99.9 %."""
        with self.env.cr.savepoint() as savepoint:
            self.keep(meter=Tally(timeouts=1), valve=Tally(good=998, latency=9980.0))
            with self.env.cr.savepoint():
                self.env.cr.execute(
                    "UPDATE energy_gateway_hour SET hour = hour - interval '1 hour'"
                )
            self.keep(valve=Tally(good=1, latency=1009.0))
            for model, rows in (("energy.meter.day", 2), ("energy.gateway.hour", 2)):
                [group] = self.env[model].formatted_read_group(
                    [("gateway_id", "=", self.gateway.id)],
                    ["gateway_id"],
                    ["good_share:avg", "latency_ms:avg", "bad:sum", "longest_ms:max", "__count"],
                )
                self.assertEqual((group["__count"], group["bad:sum"]), (rows, 1))
                self.assertAlmostEqual(group["good_share:avg"], 99.9)
                # (9980 + 1009) / 999 = 11.0
                self.assertAlmostEqual(group["latency_ms:avg"], 11.0)
            savepoint.rollback()
        self.env.invalidate_all()

    def test_each_read_weighs_the_same(self):
        self.holds(
            self.check_each_read_weighs_the_same,
            (Health._read_group_select, '== "good_share:avg"', '== ""'),
            (Health._read_group_select, '== "latency_ms:avg"', '== ""'),
        )

    def test_days_without_any_read_have_no_share(self):
        self.keep(meter=Tally())
        [group] = self.env["energy.meter.day"].formatted_read_group(
            [("meter_id", "=", self.meter.id)], [], ["good_share:avg", "latency_ms:avg"]
        )
        self.assertFalse(group["good_share:avg"] or group["latency_ms:avg"])

    def test_days_are_those_of_the_site(self):
        self.env["ir.config_parameter"].set_param("prepaid_energy.clock_is_adjustable", "1")
        # 15:59 and 16:00 UTC are two days in Shanghai.
        self.env["energy.clock"]._set("2026-03-01 15:59:00", 0)
        self.keep(meter=Tally(good=1, latency=1.0))
        self.env["energy.clock"]._set("2026-03-01 16:00:00", 0)
        self.keep(meter=Tally(good=1, latency=1.0))
        days = self.env["energy.meter.day"].search([("meter_id", "=", self.meter.id)])
        self.assertEqual([str(day.date) for day in days], ["2026-03-02", "2026-03-01"])

    def test_nothing_good_has_no_latency(self):
        self.keep(meter=Tally(unreachable=4))
        day = self.env["energy.meter.day"].search([("meter_id", "=", self.meter.id)])
        self.assertRecordValues(day, [{"good_share": 0, "latency_ms": 0, "unreachable": 4}])

    def test_what_is_old_is_forgotten(self):
        self.env["ir.config_parameter"].set_param("prepaid_energy_meter.health_days", "10")
        self.keep(meter=Tally(good=1, latency=1.0))
        hours, days = self.env["energy.gateway.hour"], self.env["energy.meter.day"]
        now = clock.now(self.env.cr)
        for age, left in ((9, 1), (11, 0)):
            self.env.cr.execute(
                "UPDATE energy_gateway_hour SET hour = %s", [now - timedelta(days=age)]
            )
            self.env.cr.execute(
                "UPDATE energy_meter_day SET date = %s", [(now - timedelta(days=age)).date()]
            )
            hours._cron_prune()
            found = [
                model.search_count([("gateway_id", "=", self.gateway.id)])
                for model in (hours, days)
            ]
            self.assertEqual(found, [left, left])

    def test_who_sees_it(self):
        self.keep(meter=Tally(good=1, latency=1.0))
        here, there = self.user("viewer", [self.site]), self.user("operator", [self.other_site])
        manager = self.user("manager")
        for model in ("energy.gateway.hour", "energy.meter.day"):
            records = self.env[model].search([("gateway_id", "=", self.gateway.id)])
            self.assertTrue(records.with_user(here).search([("id", "in", records.ids)]))
            self.assertFalse(records.with_user(there).search([("id", "in", records.ids)]))
            with self.assertRaises(AccessError):
                records.with_user(manager).write({"good": 9})

    def test_screens_open(self):
        self.keep(meter=Tally(good=1, latency=1.0))
        for record, model in (
            (self.gateway, "energy.gateway.hour"),
            (self.meter, "energy.meter.day"),
        ):
            action = record.action_open_health()
            self.assertEqual(action["res_model"], model)
            self.assertEqual(self.env[model].search_count(action["domain"]), 1)
            for _view, kind in action["views"]:
                self.env[model].get_view(view_type=kind)

    def test_meter_follows_its_gateway(self):
        self.assertEqual(self.meter.reads_every, 30)
        self.gateway.read_interval = 15
        self.assertEqual(self.meter.reads_every, 15)
        self.meter.read_interval = 7
        self.gateway.read_interval = 60
        self.assertEqual((self.meter.reads_every, self.valve.reads_every), (7, 60))
        self.env.flush_all()
        gateways, _faults = field.load_field(self.env)
        self.assertEqual(
            {due.key: due.interval for due in gateways[self.gateway.id].due},
            {self.meter.id: 7, self.valve.id: 60},
        )
