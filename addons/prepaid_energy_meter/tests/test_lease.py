from datetime import timedelta

from odoo.tests import tagged

from ..connector import store
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestLease(FieldCommon):
    def beat(self, holder, healths=()):
        held, _moment, _speed, _networks = store.beat(
            self.env, holder, self.gateway.ids, list(healths)
        )
        return held

    def lapse(self):
        self.env.cr.execute(
            "UPDATE energy_gateway_status SET lease_until = energy_real_now() - interval '1 ms'"
            " WHERE gateway_id = %s",
            self.gateway.ids,
        )

    def test_first_holds_until_it_lapses(self):
        self.assertEqual(self.beat("a"), set(self.gateway.ids))
        self.assertEqual(self.beat("b"), set())
        self.assertEqual(self.beat("a"), set(self.gateway.ids))
        self.lapse()
        self.assertEqual(self.beat("b"), set(self.gateway.ids))
        self.assertEqual(self.beat("a"), set())

    def test_lease_ends_by_the_database_s_clock(self):
        self.beat("a")
        self.env.cr.execute(
            "SELECT lease_until - energy_real_now() FROM energy_gateway_status"
            " WHERE gateway_id = %s",
            self.gateway.ids,
        )
        left = self.env.cr.fetchone()[0]
        self.assertLessEqual(left, timedelta(seconds=store.LEASE_SECONDS))
        self.assertGreater(left, timedelta(seconds=store.LEASE_SECONDS - 1))

    def test_released_gateway_is_free_at_once(self):
        self.beat("a")
        store.release(self.env, "b")
        self.assertEqual(self.beat("b"), set())
        store.release(self.env, "a")
        self.assertEqual(self.beat("b"), set(self.gateway.ids))

    def test_holder_tells_how_the_gateway_is(self):
        row = (self.gateway.id, True, 0, "", 7, 2, True)
        self.beat("a", [row])
        status = self.gateway.status_id
        status.invalidate_recordset()
        self.assertTrue(status.is_online)
        self.assertTrue(status.seen_at)
        self.assertEqual((status.reads_good, status.reads_bad), (7, 2))
        seen = status.seen_at
        self.beat("a", [(self.gateway.id, None, 2, "refused", 7, 4, False)])
        status.invalidate_recordset()
        self.assertTrue(status.is_online, "unknown changes nothing")
        self.assertEqual((status.misses, status.error, status.seen_at), (2, "refused", seen))

    def test_one_who_holds_nothing_tells_nothing(self):
        self.beat("a")
        self.beat("b", [(self.gateway.id, False, 9, "not mine", 0, 0, False)])
        self.gateway.status_id.invalidate_recordset()
        self.assertEqual(self.gateway.misses, 0)
