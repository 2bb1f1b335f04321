from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestAccess(FieldCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.west = cls.env["energy.gateway"].create(
            {"name": "West riser", "site_id": cls.other_site.id, "host": "192.0.2.20"}
        )
        cls.own = cls.gateway | cls.west

    def seen(self, user):
        return self.env["energy.gateway"].with_user(user).search([("id", "in", self.own.ids)])

    def test_users_of_a_site_see_its_gateways(self):
        self.assertEqual(self.seen(self.user("viewer", [self.site])), self.gateway)
        statuses = (
            self.env["energy.gateway.status"]
            .with_user(self.user("engineer", [self.other_site]))
            .search([("gateway_id", "in", self.own.ids)])
        )
        self.assertEqual(statuses.gateway_id, self.west)

    def test_users_without_sites_see_all_of_their_companies(self):
        self.assertEqual(self.seen(self.user("viewer")), self.own)

    def test_gateway_of_another_company_is_not_seen(self):
        company = self.env["res.company"].create({"name": "Another landlord"})
        site = (
            self.env["energy.property"]
            .with_company(company)
            .create(
                {"name": "Far", "kind": "site", "tz": "Europe/London", "company_id": company.id}
            )
        )
        far = self.env["energy.gateway"].create(
            {"name": "Far riser", "site_id": site.id, "host": "192.0.2.30"}
        )
        with self.assertRaises(AccessError):
            far.with_user(self.user("manager")).read(["name"])

    def test_only_engineers_and_managers_change_gateways(self):
        for role in ("viewer", "cashier", "operator", "finance"):
            with self.assertRaises(AccessError):
                self.gateway.with_user(self.user(role)).port = 1502
        for role in ("engineer", "manager"):
            self.gateway.with_user(self.user(role)).port = 1503

    def test_engineer_of_a_site_changes_no_other(self):
        with self.assertRaises(AccessError):
            self.west.with_user(self.user("engineer", [self.site])).port = 1502

    def test_nobody_writes_a_status(self):
        for role in ("engineer", "manager"):
            with self.assertRaises(AccessError):
                self.gateway.status_id.with_user(self.user(role)).error = "x"

    def test_identity_is_for_engineers(self):
        self.gateway.action_arm()
        viewer = self.gateway.with_user(self.user("viewer"))
        self.assertEqual(viewer.armed, "on_only")
        with self.assertRaises(AccessError):
            viewer.read(["armed_identity"])

    def test_viewer_reads_profiles_and_changes_none(self):
        profile = self.power.copy().with_user(self.user("viewer"))
        self.assertTrue(profile.register_ids[0].address)
        with self.assertRaises(AccessError):
            profile.name = "Mine"

    def west_order(self):
        """An order to the other site's gateway, still waiting."""
        scan = self.env["energy.gateway.scan"].create({"gateway_id": self.west.id, "units": "1-5"})
        scan.action_start()
        return scan.command_id

    def test_scan_and_probe_show_and_end_their_own_orders_only(self):
        theirs = self.west_order()
        env = self.env["energy.gateway"].with_user(self.user("engineer", [self.site])).env
        scan = env["energy.gateway.scan"].create({"gateway_id": self.gateway.id, "units": "1-5"})
        probe = env["energy.probe"].create({"gateway_id": self.gateway.id})
        for own in (scan, probe):
            with self.assertRaises(AccessError):
                own.command_id = theirs
            with self.assertRaises(AccessError):
                own.create({"gateway_id": self.gateway.id, "command_id": theirs.id})
            made = own.with_context(default_command_id=theirs.id).create(
                {"gateway_id": self.gateway.id}
            )
            self.assertFalse(made.command_id)
        scan.sudo().command_id = theirs
        with self.assertRaises(AccessError):
            scan.action_stop()
        probed = self.gateway._order_job("probe", {"unit": 1})
        scan.sudo().command_id = probed
        scan.action_stop()
        self.assertEqual((theirs.state, probed.state), ("queued", "queued"))
        scan.sudo().command_id = False
        scan.action_start()
        self.assertEqual(scan.command_id.gateway_id, self.gateway)
        with self.assertRaisesRegex(UserError, "another bus"):
            scan.gateway_id = self.west
        scan.action_stop()
        self.assertEqual(scan.state, "stopped")

    def test_probes_and_imports_are_of_who_began_them(self):
        engineer, other = self.user("engineer"), self.user("manager")
        for model, values in (
            ("energy.probe", {"gateway_id": self.gateway.id}),
            ("energy.profile.import", {}),
        ):
            begun = self.env[model].with_user(engineer).create(values)
            begun.read(["display_name"])
            with self.assertRaises(AccessError):
                begun.with_user(other).read(["display_name"])
        with self.assertRaises(AccessError):
            self.env["energy.probe"].with_user(self.user("engineer", [self.site])).create(
                {"gateway_id": self.west.id}
            )
