"""What cannot price all use is never put in force, and what has priced use never changes."""

from datetime import timedelta

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.energy_tariff_part import EnergyTariffPart
from ..models.energy_tariff_problem import EnergyTariffVersion as Problem
from ..models.energy_tariff_version import EnergyTariffVersion
from ..models.energy_tariff_version_engine import EnergyTariffVersion as Engine
from ..models.energy_tariff_version_life import EnergyTariffVersion as Life
from .common import START
from .planting import PropertyCase
from .test_tariff_engine import TariffCase


@tagged("post_install", "-at_install")
class TestTariffProperties(PropertyCase, TariffCase):
    def test_unfit_versions_are_refused(self):
        """T4: each defect is named, for whoever submits or approves, and nothing is in force."""
        self.holds(
            self.unfit_versions_are_refused,
            (Life._check_approvable, "if problems:", "if False:"),
            (Life._set_state, "version._check_approvable()", "pass"),
            (Problem._closed_tiers, "if limit:", "if False:"),
            (Engine._build, 'bands.filtered("is_rest")[:1]', "bands[:1]"),
        )

    def unfit_versions_are_refused(self):
        two = [{"number": 1, "limit": 100}, {"number": 2}]
        peak = {"key": "peak", "hour_from": 8, "hour_to": 12}

        def hole(version):
            version.band_ids.is_rest = False

        def overlap(version):
            version.window_ids[1].hour_to = 13

        def missing(version):
            version.price_ids[-1].is_priced = False

        def closed(version):
            version.tier_ids[-1].limit = 200

        def below_zero(version):
            version.tier_ids[0].limit = -1

        def unsorted(version):
            version.tier_ids[0].limit = 300
            version.tier_ids[1].limit = 200

        for spoil, named, limits in (
            (hole, "from 00:00 to 08:00", two),
            (overlap, "overlap from 10:00 to 12:00", two),
            (missing, "“Sharp” has no price in tier 2", two),
            (closed, "The last tier is closed: use above 200", two),
            (below_zero, "imit", two),
            (unsorted, "imit", [*two[:1], {"number": 2, "limit": 200}, {"number": 3}]),
        ):
            version = self.draft(
                {"flat": [1] * len(limits), "peak": [2] * len(limits), "sharp": [3] * len(limits)},
                tiers=limits,
                windows=[peak, {"key": "sharp", "hour_from": 10, "hour_to": 11}],
            )
            version.action_submit()
            version.action_draft()
            spoil(version)
            for step in (version.action_submit, version._approve):
                with self.refused(UserError, named):
                    step()
            self.assertEqual(version.state, "draft")

    def test_used_versions_never_change(self):
        """T5: neither it nor a part of it; a new version is made, and the used one still prices."""
        self.holds(
            self.used_versions_never_change,
            (Life._check_unused, "if self._used():", "if False:"),
            (EnergyTariffVersion.write, "CONTENT & vals.keys()", "False"),
            (EnergyTariffPart.write, "_check_editable()\n    result", "exists()\n    result"),
            (EnergyTariffPart.create, "parts.version_id._check_editable()", "pass"),
            (EnergyTariffPart._unlink_except_approved, "_check_editable()", "exists()"),
        )

    def used_versions_never_change(self):
        version = self.draft({"flat": [0.5, 0.6]}, tiers=[{"number": 1, "limit": 9}, {"number": 2}])
        version.action_approve()
        self.open_account(meter := self.make_meter("T5"), tariff=version.tariff_id)
        self.read(meter, START + timedelta(days=1), "5")
        self.settle()
        for change in (
            version.action_draft,
            version.unlink,
            version.price_ids.unlink,
            lambda: version.write({"per_day": 1}),
            lambda: version.price_ids.write({"price": 9}),
            lambda: version.tier_ids[0].write({"limit": 1}),
            lambda: version.fee_ids.create({"version_id": version.id, "name": "F", "amount": 1}),
        ):
            with self.refused(UserError, "approved|priced use"):
                change()
        new = self.env["energy.tariff.version"].browse(version.action_new_version()["res_id"])
        new.price_ids.price = 9
        new.action_approve()
        self.assertEqual(self.prices(version), {("flat", 1): "0.500000", ("flat", 2): "0.600000"})
