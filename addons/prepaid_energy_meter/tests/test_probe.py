import json

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..connector import outbox
from ..connector.job_kinds import make_job
from ..modbus.driver import JobResult
from ..modbus.planning import Block
from ..modbus.probing import RawBlock
from .common import FieldCommon


@tagged("post_install", "-at_install")
class TestProbe(FieldCommon):
    def setUp(self):
        super().setUp()
        self.engineer = self.user("engineer")
        self.eastron = self.env["energy.meter.profile"].search([("code", "=", "eastron_sdm120")])

    def probe(self, **values):
        return (
            self.env["energy.probe"]
            .with_user(self.engineer)
            .create({"gateway_id": self.gateway.id, "unit_id": 9, **values})
        )

    def answer(self, probe, *blocks, state="confirmed", error=""):
        result = {"unit": 9, "blocks": [block.as_json() for block in blocks], "left": 0}
        outbox.finish_job(self.env, probe.command_id.id, JobResult(state, result, error=error))
        probe.invalidate_recordset()

    def test_order_is_given_and_the_answer_comes_to_the_same_window(self):
        probe = self.probe(profile_id=self.power.id, compare_ids=self.eastron.ids)
        self.assertFalse(probe.progress or probe.is_waiting)
        action = probe.action_probe()
        self.assertEqual((action["res_model"], action["res_id"]), ("energy.probe", probe.id))
        self.assertRecordValues(
            probe.command_id,
            [{"kind": "probe", "user_id": self.engineer.id, "gateway_id": self.gateway.id}],
        )
        self.assertEqual(
            probe.command_id.arguments,
            {
                "unit": 9,
                "profile": self.power.id,
                "meter": None,
                "compare": self.eastron.ids,
            },
        )
        self.assertTrue(probe.is_waiting)
        self.assertEqual(probe.progress, "Waiting for the connector.")
        self.assertFalse(probe.result)
        # Half of it is there.
        first = RawBlock(Block(3, 0, 17), (1, 0xE240, *[0] * 9, 2300, 0, 575, 0, 575, 1000))
        probe.command_id._found({"unit": 9, "blocks": [first.as_json()], "left": 3})
        probe.invalidate_recordset()
        self.assertEqual(probe.progress, "1 of 4 reads are done.")
        self.assertIn("E240", probe.result)
        refused = RawBlock(Block(4, 0, 14), None, "exception 01: illegal function")
        self.answer(probe, first, RawBlock(Block(3, 0x224, 1), (0x2009,)), refused)
        self.assertFalse(probe.is_waiting or probe.progress)
        # 123456 hundredths; the words beside it, its place, its certainty.
        for piece in ("1234.56", "0001 E240", "0000-0001", "230.0", "0.575", "illegal function"):
            self.assertIn(piece, probe.result)
        head = probe.result.index("Acrel DDSY1352"), probe.result.index("Eastron SDM120")
        self.assertIn("values make sense", probe.result[head[0] : head[1]])
        self.assertIn("0 of 3 values make sense", probe.result[head[1] :])

    def test_block_named_by_an_engineer(self):
        probe = self.probe(what="block", function="4", address="0x0010", count=2)
        probe.action_probe()
        self.assertEqual(probe.command_id.arguments["blocks"], [[4, 16, 2]])
        self.answer(probe, RawBlock(Block(4, 16, 2), (0x4366, 0)))
        # 43660000 is 230.0 as a single.
        for piece in ("0010", "4366", "17254", "1130758144", "230"):
            self.assertIn(piece, probe.result)

    def test_what_cannot_be_read_is_refused_before_it_is_ordered(self):
        before = self.env["energy.command"].search_count([])
        for values in (
            {"what": "block", "address": "12z"},
            {"what": "block", "address": "0xFFFF", "count": 2},
            {"what": "block", "count": 0},
            {"what": "block", "count": 126},
            {"what": "profile"},
            {"what": "block", "unit_id": 0},
            {"what": "block", "unit_id": 248},
        ):
            with self.assertRaises(UserError):
                self.probe(**values).action_probe()
        self.assertEqual(self.env["energy.command"].search_count([]), before)

    def test_order_becomes_a_job(self):
        probe = self.probe(profile_id=self.power.id, compare_ids=self.eastron.ids)
        probe.action_probe()
        [order], _unwanted = outbox.take_jobs(self.env, self.gateway.ids, [], {})
        job = make_job(order, None)
        self.assertEqual((job.key, job.unit), (probe.command_id.id, 9))
        self.assertEqual(
            [profile.code for profile in job.profiles], ["acrel_ddsy1352", "eastron_sdm120"]
        )
        order["profiles"] = {}
        with self.assertRaisesRegex(ValueError, "cannot be used"):
            make_job(order, None)
        for blocks in ([[6, 0, 1]], [[16, 0, 1]], [[3, 0, 200]]):
            order["arguments"] = {"unit": 9, "blocks": blocks}
            with self.assertRaises(ValueError):
                make_job(order, None)

    def test_reads_are_those_that_the_gateway_takes(self):
        self.gateway.write({"max_block": 7, "max_gap": 0})
        probe = self.probe(profile_id=self.power.id)
        probe.action_probe()
        self.assertGreater(max(block.count for block in self.power._profile().poll_blocks), 7)
        [order], _unwanted = outbox.take_jobs(self.env, self.gateway.ids, [], {})
        job = make_job(order, None)
        self.assertLessEqual(max(block.count for _profile, block in job._left), 7)
        # An order to a meter, too.
        taken = {"id": self.order(self.meter, "off").id, "meter_id": self.meter.id}
        _gateway, order = outbox.take_meter_job(self.env, taken)
        for profile in (order["meter"].profile, order["profiles"][self.power.id]):
            self.assertEqual((profile.max_block, profile.max_gap), (7, 0))

    def test_no_answer_is_told(self):
        probe = self.probe(profile_id=self.power.id)
        probe.action_probe()
        self.answer(
            probe,
            RawBlock(Block(3, 0, 17), None, "unit 9: no answer in 1 s"),
            state="failed",
            error="unit 9: no answer in 1 s",
        )
        self.assertEqual(probe.progress, "No answer: unit 9: no answer in 1 s")
        self.assertIn("0000-0010", probe.result)

    def test_device_text_is_shown_as_text(self):
        probe = self.probe(profile_id=self.power.id)
        probe.action_probe()
        # "<b>" as a serial number.
        words = (0x3C62, 0x3E41, 0, 0, 0, 0, 0)
        self.answer(probe, RawBlock(Block(3, 0x3A0, 7), words))
        self.assertIn("&lt;b&gt;A", probe.result)
        self.assertNotIn("<b>A", probe.result)

    def test_only_engineers_probe(self):
        for role in ("viewer", "cashier", "operator", "finance"):
            with self.assertRaises(AccessError):
                self.env["energy.probe"].with_user(self.user(role)).create(
                    {"gateway_id": self.gateway.id}
                )

    def test_meter_brings_unit_and_profile(self):
        probe = self.env["energy.probe"].new({"gateway_id": self.gateway.id})
        probe.meter_id = self.valve
        probe._onchange_meter_id()
        self.assertEqual((probe.unit_id, probe.profile_id), (2, self.water))

    def test_what_was_probed_is_plain_json(self):
        probe = self.probe(profile_id=self.power.id)
        probe.action_probe()
        self.answer(probe, RawBlock(Block(3, 0, 1), (1,)))
        self.assertEqual(json.loads(json.dumps(probe.command_id.result)), probe.command_id.result)
