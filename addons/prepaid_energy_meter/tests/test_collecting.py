from datetime import timedelta
from decimal import Decimal

from odoo.addons.prepaid_energy import clock
from odoo.tests import tagged

from ..connector import field, outbox, store
from ..modbus.driver import Outcome, Snapshot
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestCollecting(FieldCommon):
    def setUp(self):
        super().setUp()
        self.now = clock.now(self.env.cr)

    def snapshot(self, total, minutes_ago=0, **values):
        return Snapshot(
            meter=self.meter.id,
            moment=self.now - timedelta(minutes=minutes_ago),
            total=Decimal(total),
            **values,
        )

    def store(self, *snapshots, misses=(), newer=False):
        store.store(self.env, list(snapshots), list(misses), lambda snapshot: newer)
        self.meter.status_id.invalidate_recordset()

    def test_reading_and_status_are_stored(self):
        self.store(
            self.snapshot(
                "12.34",
                bands=(Decimal("1.5"), None, Decimal("2.25")),
                power=Decimal("0.5"),
                voltage=Decimal("220.1"),
                current=Decimal("2.27"),
                supply_state="on",
            )
        )
        reading = self.env["energy.reading"].search([("meter_id", "=", self.meter.id)])
        self.assertRecordValues(
            reading,
            [
                {
                    "moment": self.now,
                    "total": 12.34,
                    "band_1": 1.5,
                    "band_2": 0,
                    "band_3": 2.25,
                    "source": "poll",
                    "state": "accepted",
                }
            ],
        )
        self.assertRecordValues(
            self.meter.status_id,
            [
                {
                    "read_at": self.now,
                    "total": 12.34,
                    "power": 0.5,
                    "voltage": 220.1,
                    "current": 2.27,
                    "is_online": True,
                    "supply_state": "on",
                    "misses": 0,
                    "error": False,
                }
            ],
        )

    def test_the_same_reading_again_is_stored_once(self):
        self.store(self.snapshot("12.34"))
        self.store(self.snapshot("12.34"))
        self.assertEqual(
            self.env["energy.reading"].search_count([("meter_id", "=", self.meter.id)]), 1
        )

    def test_miss_leaves_the_last_values(self):
        self.store(self.snapshot("12.34", supply_state="on"))
        self.store(misses=[store.Miss(self.meter.id, 3, False, "no answer")])
        self.assertRecordValues(
            self.meter.status_id,
            [
                {
                    "total": 12.34,
                    "is_online": False,
                    "misses": 3,
                    "error": "no answer",
                    "supply_state": "on",
                }
            ],
        )

    def test_snapshot_from_before_a_switching_does_not_bring_the_old_state_back(self):
        command = self.order(self.meter, "off")
        self.gateway.action_arm()
        outbox.may_write(self.env, command.id, "01 10")
        outbox.confirm(self.env, command.id, Outcome("confirmed", "off", "01 10", "01 03"))
        self.store(self.snapshot("12.34", supply_state="on"), newer=True)
        self.assertEqual(self.meter.status_id.supply_state, "off")
        self.assertEqual(command.state, "confirmed")

    def test_order_comes_with_the_last_believed_register(self):
        self.gateway.action_arm()
        self.env["energy.reading"]._ingest(
            [
                (self.meter.id, self.now - timedelta(hours=2), Decimal("500.25"), None, "poll"),
                (self.meter.id, self.now - timedelta(hours=1), Decimal("1.00"), None, "poll"),
            ]
        )
        self.order(self.meter, "off")
        self.order(self.valve, "on")
        orders = {
            o["meter_id"]: o for o in outbox.take_orders(self.env, [self.meter.id, self.valve.id])
        }
        self.assertEqual(orders[self.meter.id]["last_total"], Decimal("500.25"))
        self.assertIsNone(orders[self.meter.id]["most_total"], "no limit is known")
        self.assertIsNone(orders[self.valve.id]["last_total"])
        self.assertIsNone(orders[self.valve.id]["most_total"])

    def test_order_comes_with_the_most_that_its_register_can_show(self):
        self.gateway.action_arm()
        """5 kWh an hour at most; twice that, and 1 kWh beside."""
        self.env["ir.config_parameter"].set_param("prepaid_energy.clock_is_adjustable", "1")
        self.env["energy.clock"]._set(self.now, 0)
        self.meter.max_power = 5
        total = Decimal("100.00")
        for hours, most in ((10, "201"), (1, "111"), (0.25, "111")):
            moment = self.now - timedelta(hours=hours)
            self.env["energy.reading"]._ingest([(self.meter.id, moment, total, None, "poll")])
            self.order(self.meter, "off")
            [order] = outbox.take_orders(self.env, [self.meter.id])
            self.assertEqual(order["most_total"], Decimal(most))

    def test_field_is_loaded_with_what_is_in_use(self):
        gateways, faults = field.load_field(self.env)
        self.assertEqual(faults, {})
        loaded = gateways[self.gateway.id]
        line = loaded.line
        self.assertEqual((line.host, line.port, line.timeout), ("192.0.2.10", 502, 1.0))
        self.assertEqual(
            [(m.key, m.name, m.unit, m.profile.code) for m in loaded.meters],
            [
                (self.meter.id, "FIELD-1", 1, "acrel_ddsy1352"),
                (self.valve.id, "FIELD-2", 2, "kaifeng_xintai_valve"),
            ],
        )
        self.assertEqual({(d.zone.key, d.interval) for d in loaded.due}, {("Asia/Shanghai", 30)})
        self.meter.active = False
        self.gateway.flush_recordset()
        self.env.flush_all()
        gateways, _faults = field.load_field(self.env)
        self.assertEqual([m.name for m in gateways[self.gateway.id].meters], ["FIELD-2"])
        self.gateway.active = False
        self.assertNotIn(self.gateway.id, field.load_field(self.env)[0])
