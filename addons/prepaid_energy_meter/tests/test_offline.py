from datetime import timedelta

from odoo.addons.prepaid_energy.tests.common import START, EnergyCase
from odoo.addons.prepaid_energy.tests.planting import PropertyCase
from odoo.tests import tagged

from ..connector import store
from ..models.energy_gateway_offline import EnergyMeterFinding


@tagged("post_install", "-at_install")
class TestOffline(PropertyCase, EnergyCase):
    """A gateway that is down is one alarm, not one for each meter behind it (M6, O3)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gateway = cls.env["energy.gateway"].create(
            {"name": "Riser 1", "site_id": cls.site.id, "host": "192.0.2.77"}
        )
        profile = cls.env["energy.meter.profile"].search([("code", "=", "acrel_ddsy1352")])
        cls.meters = cls.env["energy.meter"].concat(
            *(
                cls.make_meter(
                    f"OFF-{unit}",
                    driver="modbus",
                    gateway_id=cls.gateway.id,
                    unit_id=unit,
                    profile_id=profile.id,
                )
                for unit in range(1, 31)
            )
        )

    def beat(self, online, misses=0, error=""):
        row = (self.gateway.id, online, misses, error, 10, misses, bool(online))
        store.beat(self.env, "here:1", [self.gateway.id], [row])
        self.env.invalidate_all()

    def notes(self):
        return self.gateway.message_ids.filtered(lambda note: "ffline" in (note.body or ""))

    def silent(self):
        """The meters are in service for a week without a reading; which are found silent."""
        self.company.energy_silent_intervals = 4
        self.open_account(*self.meters)
        self.set_clock(START + timedelta(days=7))
        return set(self.env["energy.meter.finding"]._silent(self.site))

    def test_offline_is_told_once_and_so_is_its_end(self):
        self.beat(True)
        self.assertFalse(self.gateway.offline_since)
        self.beat(None, 1, "no connection")
        self.assertFalse(self.notes())
        self.beat(False, 3, "192.0.2.77:502: no connection in 3 s")
        since = self.gateway.offline_since
        self.assertTrue(since)
        for misses in (4, 5, 6):
            self.beat(False, misses, "192.0.2.77:502: no connection in 3 s")
        self.assertEqual(self.gateway.offline_since, since)
        self.assertEqual(len(self.notes()), 1)
        self.assertIn("30 meters", self.notes().body)
        self.beat(True)
        self.beat(True)
        self.assertFalse(self.gateway.offline_since)
        self.assertEqual(len(self.notes()), 2)

    def test_meters_behind_it_are_named_as_such(self):
        self.beat(False, 3, "no connection")
        behind = self.env["energy.meter"].search([("gateway_offline_since", "!=", False)])
        self.assertEqual(behind & self.meters, self.meters)
        self.beat(True)
        self.assertFalse(self.meters[0].gateway_offline_since)

    def test_meters_behind_it_are_not_silent_by_themselves(self):
        def one_alarm():
            self.beat(False, 3, "no connection")
            self.assertEqual(self.env["energy.meter.finding"]._silent(self.site), {})
            self.assertEqual(len(self.notes()), 1)

        self.assertEqual(self.silent(), set(self.meters.ids))
        self.holds(
            one_alarm,
            (EnergyMeterFinding._silent, "del found[meter.id]", "pass"),
        )

    def test_what_was_silent_before_stays_so(self):
        self.silent()
        self.env["energy.meter.finding"]._find(self.site)
        self.beat(False, 3, "no connection")
        self.env["energy.meter.finding"]._find(self.site)
        findings = self.env["energy.meter.finding"].search([("meter_id", "in", self.meters.ids)])
        self.assertEqual(set(findings.mapped("kind")), {"silent"})
        self.assertTrue(all(findings.mapped("is_standing")))
