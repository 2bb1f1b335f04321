import dataclasses
from datetime import date, datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

import psycopg2
from odoo.tests import tagged

from ..models import (
    energy_meter_control,
    energy_rating,
    energy_reading_acceptance,
    energy_tariff_version_engine,
)
from .common import START, EnergyCase

# What money depends on; Odoo only logs a warning where it could not create one.
CONSTRAINTS = {
    "energy_supply_meter_excl": "EXCLUDE USING gist (int4range(meter_id, meter_id, '[]'::text)"
    " WITH &&, tsrange(start_at, end_at) WITH &&)",
    "energy_occupancy_main_excl": "EXCLUDE USING gist (int4range(room_id, room_id, '[]'::text)"
    " WITH &&, tsrange(start_at, end_at) WITH &&) WHERE (((role)::text = 'main'::text))",
    "energy_supply_check_times": "CHECK (((end_at IS NULL) OR (end_at > start_at)))",
    "energy_supply_term_check_multiplier": "CHECK ((multiplier > (0)::numeric))",
    "energy_wallet_entry_check_amount": "CHECK ((amount <> (0)::numeric))",
    "energy_tariff_price_check_price": "CHECK ((price >= (0)::numeric))",
    "energy_credit_policy_check_thresholds": "CHECK ((restore >= cut_off))",
    "energy_credit_policy_check_overdraft": "CHECK ((overdraft >= (0)::numeric))",
    "energy_billing_period_check_dates": "CHECK ((date_to >= date_from))",
    "energy_command_check_supply": "CHECK ((((kind)::text <> 'supply'::text) OR"
    " ((value IS NOT NULL) AND (mode IS NOT NULL))))",
}
UNIQUE_INDEXES = {
    "energy_wallet_entry_key_uniq": "(key)",
    "energy_wallet_entry_number_uniq": "(wallet_id, number)",
    "energy_receipt_number_uniq": "(company_id, year, number)",
    "energy_receipt_entry_key_uniq": "(entry_key)",
    "energy_wallet_account_uniq": "(account_id, COALESCE(commodity, ''::character varying))",
    "energy_usage_key_uniq": "(supply_id, local_date, band, tier, version_id)",
    "energy_rating_unit_key_uniq": (
        "(account_id, commodity, COALESCE(supply_id, 0), period_start, period_end, month)"
    ),
    "energy_supply_term_since_uniq": "(supply_id, since)",
    "energy_supply_mark_supply_uniq": "(supply_id)",
    "energy_billing_period_dates_uniq": "(account_id, date_from)",
    "energy_tariff_version_date_uniq": "(tariff_id, date_from)",
    "energy_tariff_price_cell_uniq": "(version_id, band_id, tier)",
    "energy_command_number_uniq": "(meter_id, number)",
    "energy_command_attempt_number_uniq": "(command_id, number)",
    "energy_entry_day_key_uniq": (
        "(wallet_id, local_date, month, kind, origin_kind, category, COALESCE(method_id, 0),"
        " user_id)"
    ),
    "energy_shift_open_uniq": "(user_id, company_id) WHERE ((state)::text = 'open'::text)",
    "energy_shift_previous_uniq": "(previous_id) WHERE (previous_id IS NOT NULL)",
    "energy_meter_control_meter_uniq": "(meter_id)",
    "energy_reading_data_accepted_uniq": (
        "(meter_id, moment) WHERE ((state)::text = 'accepted'::text)"
    ),
    "account_move_line_energy_entry_key_uniq": (
        "(energy_entry_key) WHERE (energy_entry_key IS NOT NULL)"
    ),
    "account_partial_reconcile_energy_entry_key_uniq": (
        "(energy_entry_key) WHERE (energy_entry_key IS NOT NULL)"
    ),
}
TRIGGERS = {
    ("energy_wallet_entry", "energy_entry_refuse_change"),
    ("energy_wallet_entry", "energy_entry_refuse_truncate"),
    ("energy_receipt", "energy_receipt_refuse_change"),
    ("energy_receipt", "energy_receipt_refuse_truncate"),
    ("energy_wallet_entry", "energy_entry_use_shift"),
    ("energy_security_deposit_move", "energy_deposit_use_shift"),
    ("energy_command", "energy_command_notify"),
    ("energy_command", "energy_command_refuse_change"),
    ("energy_command", "energy_command_refuse_truncate"),
    ("energy_command_attempt", "energy_attempt_refuse_change"),
    ("energy_command_attempt", "energy_attempt_refuse_truncate"),
    ("energy_clock", "energy_clock_notify"),
}
BIG = (
    "energy_wallet_entry",
    "energy_reading_data",
    "energy_usage",
    "energy_settlement_queue",
    "energy_supply_mark",
)
# Modules and the names by which they call the engine with figures.
ENGINE_CALLS = (
    (energy_rating, "split"),
    (energy_rating, "rate"),
    (energy_rating, "rate_untiered"),
    (energy_rating, "round_half_up"),
    (energy_reading_acceptance, "judge"),
    (energy_meter_control, "decide"),
    (energy_tariff_version_engine, "TariffVersion"),
)


@tagged("post_install", "-at_install")
class TestSchema(EnergyCase):
    """The database itself refuses what must never be."""

    def rows(self, query, *args):
        self.env.cr.execute(query, args or None)
        return self.env.cr.fetchall()

    def test_constraints_exist(self):
        found = dict(
            self.rows(
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE conname = ANY(%s)",
                list(CONSTRAINTS),
            )
        )
        self.assertEqual(found, CONSTRAINTS)

    def test_every_declared_constraint_exists(self):
        """Of all models, also of those whose constraint the database may have refused."""
        existing = {
            name
            for (name,) in self.rows(
                "SELECT conname FROM pg_constraint UNION SELECT indexname FROM pg_indexes"
            )
        }
        declared = {
            table_object.full_name(self.env[name])
            for name, model in self.env.registry.items()
            if name.startswith("energy.") and model._auto and not model._abstract
            for table_object in model._table_objects.values()
        }
        self.assertGreater(len(declared), 20)
        self.assertEqual(declared - existing, set())

    def test_what_gives_a_record_its_company_is_offered_before_it_has_one(self):
        """Checked against the record's company, nothing could be chosen in an empty form."""
        closed = []
        for name, model in self.env.registry.items():
            company = name.startswith("energy.") and model._fields.get("company_id")
            if company and company.related:
                source = model._fields[company.related.split(".")[0]]
                if getattr(source, "check_company", False):
                    closed.append(str(source))
        self.assertFalse(closed)

    def test_unique_indexes_exist(self):
        found = {
            name: definition.partition(" USING btree ")[2]
            for name, definition in self.rows(
                "SELECT indexname, indexdef FROM pg_indexes WHERE indexname = ANY(%s)"
                "   AND indexdef LIKE 'CREATE UNIQUE %%'",
                list(UNIQUE_INDEXES),
            )
        }
        self.assertEqual(found, UNIQUE_INDEXES)

    def test_triggers_are_on(self):
        found = self.rows(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger"
            " WHERE NOT tgisinternal AND tgenabled = 'O' AND tgname LIKE 'energy%%'"
        )
        self.assertLessEqual(TRIGGERS, set(found))

    def test_money_and_quantities_are_decimal(self):
        found = self.rows(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_name LIKE 'energy%%' AND data_type IN ('real', 'double precision')"
        )
        self.assertEqual(found, [])

    def test_big_tables_count_beyond_two_billion(self):
        for table in BIG:
            self.assertEqual(
                self.rows(
                    "SELECT data_type FROM information_schema.columns"
                    " WHERE table_name = %s AND column_name = 'id'",
                    table,
                ),
                [("bigint",)],
                table,
            )
            sequence = (
                "energy_reading_id_seq" if table == "energy_reading_data" else f"{table}_id_seq"
            )
            self.assertEqual(
                self.rows(
                    "SELECT data_type::text FROM pg_sequences WHERE sequencename = %s", sequence
                ),
                [("bigint",)],
                table,
            )
        meter = self.make_meter("P0")
        account = self.open_account(meter)
        # A sequence is no part of the transaction: it is set back by hand.
        for sequence in (
            "energy_wallet_entry_id_seq",
            "energy_reading_id_seq",
            "energy_usage_id_seq",
            "energy_supply_mark_id_seq",
        ):
            before = self.rows("SELECT nextval(%s)", sequence)[0][0]
            self.addCleanup(self.rows, "SELECT setval(%s, %s)", sequence, before)
            self.env.cr.execute("SELECT setval(%s, %s)", [sequence, 3_000_000_000])
        self.top_up(account, 50)
        self.read(meter, START + timedelta(hours=1), "10")
        self.settle()
        for model in ("energy.wallet.entry", "energy.reading", "energy.usage"):
            records = self.env[model].search([("site_id", "=", self.site.id)])
            self.assertGreater(max(records.ids), 3_000_000_000, model)
            records.read()
        self.assertEqual(account.balance, 44)

    def test_meter_serves_one_account_at_a_time(self):
        meter = self.make_meter("P1")
        supply = self.open_account(meter).supply_ids
        account = self.open_account(self.make_meter("P2"), activate=False)
        insert = (
            "INSERT INTO energy_supply (account_id, meter_id, start_at, end_at)"
            " VALUES (%s, %s, %s, %s)"
        )
        hour = timedelta(hours=1)
        for start, end in (
            (START, None),
            (START - hour, START + hour),
            (START + hour, START + 2 * hour),
            (START - hour, None),
        ):
            with self.refused(psycopg2.errors.ExclusionViolation):
                self.env.cr.execute(insert, [account.id, meter.id, start, end])
        # Up to the very moment at which the other begins, and after it has ended, is free.
        self.env.cr.execute(insert, [account.id, meter.id, START - hour, START])
        supply.end_at = START + hour
        self.env.flush_all()
        self.env.cr.execute(insert, [account.id, meter.id, START + hour, None])

    def test_one_accepted_reading_a_meter_and_moment(self):
        meter = self.make_meter("P3")
        insert = (
            "INSERT INTO energy_reading_data"
            " (meter_id, moment, total, source, state, site_id, company_id)"
            " VALUES (%s, %s, 1, 'poll', %s, %s, %s)"
        )
        values = [self.site.id, self.company.id]
        self.env.cr.execute(insert, [meter.id, START, "accepted", *values])
        for state in ("held", "rejected", "superseded", "superseded"):
            self.env.cr.execute(insert, [meter.id, START, state, *values])
        with self.refused(psycopg2.errors.UniqueViolation):
            self.env.cr.execute(insert, [meter.id, START, "accepted", *values])
        with self.refused(psycopg2.errors.ForeignKeyViolation):
            self.env.cr.execute(insert, [0, START, "accepted", *values])
        with self.refused(psycopg2.IntegrityError):
            self.env.cr.execute("DELETE FROM energy_meter WHERE id = %s", [meter.id])

    def partitions(self, meter):
        return dict(
            self.rows(
                "SELECT tableoid::regclass::text, count(*) FROM energy_reading_data"
                " WHERE meter_id = %s GROUP BY 1",
                meter.id,
            )
        )

    def test_readings_land_in_the_partition_of_their_month(self):
        meter = self.make_meter("P4")
        for month in (date(2026, 3, 1), date(2026, 4, 1)):
            self.env.cr.execute("SELECT energy_reading_partition(%s)", [month])
        for moment in (
            datetime(2026, 3, 1),
            datetime(2026, 3, 31, 23, 59, 59),
            datetime(2026, 4, 1),
        ):
            self.read(meter, moment, "5")
        self.assertEqual(
            self.partitions(meter),
            {"energy_reading_data_2026_03": 2, "energy_reading_data_2026_04": 1},
        )

    def test_partition_made_late_takes_its_rows_out_of_the_default(self):
        meter = self.make_meter("P5")
        for day in (1, 15, 31):
            self.read(meter, datetime(2021, 5, day), str(day))
        self.read(meter, datetime(2021, 6, 1), "40")
        before = self.rows("SELECT * FROM energy_reading WHERE meter_id = %s ORDER BY id", meter.id)
        self.assertEqual(self.partitions(meter), {"energy_reading_data_default": 4})
        for _again in range(2):
            self.env.cr.execute("SELECT energy_reading_partition('2021-05-01')")
            self.assertEqual(
                self.partitions(meter),
                {"energy_reading_data_2021_05": 3, "energy_reading_data_default": 1},
            )
        self.assertEqual(
            self.rows("SELECT * FROM energy_reading WHERE meter_id = %s ORDER BY id", meter.id),
            before,
        )
        # Keys and foreign keys hold in the new partition too.
        with self.refused(psycopg2.errors.UniqueViolation):
            self.env.cr.execute(
                "INSERT INTO energy_reading (meter_id, moment, total, source, state, site_id,"
                " company_id) VALUES (%s, '2021-05-15', 1, 'poll', 'accepted', 1, 1)",
                [meter.id],
            )
        with self.refused(psycopg2.errors.ForeignKeyViolation):
            self.env.cr.execute(
                "INSERT INTO energy_reading (meter_id, moment, total, source, state, site_id,"
                " company_id) VALUES (0, '2021-05-15', 1, 'poll', 'accepted', 1, 1)"
            )

    def test_partitions_of_the_months_ahead_exist(self):
        self.set_clock(datetime(2031, 11, 20))
        self.env["energy.reading"]._make_partitions()
        found = {
            name
            for (name,) in self.rows(
                "SELECT inhrelid::regclass::text FROM pg_inherits"
                " WHERE inhparent = 'energy_reading_data'::regclass"
            )
        }
        self.assertLessEqual(
            {
                f"energy_reading_data_{month}"
                for month in ("2031_10", "2031_11", "2031_12", "2032_01", "2032_02")
            },
            found,
        )

    def test_engine_never_sees_a_float(self):
        seen = []
        patches = [
            patch.object(module, name, without_floats(self, getattr(module, name), seen))
            for module, name in ENGINE_CALLS
        ]
        self.env.registry.clear_cache()
        for patched in patches:
            patched.start()
            self.addCleanup(patched.stop)
        self.addCleanup(self.env.registry.clear_cache)
        tariff = self.make_tariff(
            "Bands and tiers",
            {"peak": ["0.31", "0.41"], "valley": ["0.1", "0.2"]},
            limits=(3.3,),
            windows=[("peak", 8.5, 22)],
            rest="valley",
        )
        meter = self.make_meter("P6", max_power=9.9)
        account = self.open_account(meter, tariff=tariff, register=0.1)
        self.top_up(account, 0.1)
        self.read(meter, START + timedelta(hours=9), "7.7")
        self.settle()
        self.read(meter, START + timedelta(hours=2), "1.1")
        self.settle()
        self.assertEqual(self.commands(meter), [(1, "supply", "off", "queued")])
        flat = self.make_meter("P7")
        self.open_account(flat, register=0.1)
        self.read(flat, START + timedelta(hours=10), "7.7")
        self.settle()
        self.assertEqual(set(seen), {name for _module, name in ENGINE_CALLS})


def without_floats(case, function, seen):
    """Return the function with a check that no float is in what goes in or comes out."""

    def checked(*args, **kwargs):
        seen.append(function.__name__)
        result = function(*args, **kwargs)
        for value in (args, kwargs, result):
            case.assertEqual(floats_in(value), [], function.__name__)
        return result

    return checked


def floats_in(value):
    """Return the floats anywhere in a value of tuples, lists, dicts and dataclasses."""
    if isinstance(value, float):
        return [value]
    if isinstance(value, (str, bytes, Decimal, date)) or value is None:
        return []
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return [found for name in names for found in floats_in(getattr(value, name))]
    if isinstance(value, dict):
        return floats_in(list(value.items()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return [found for member in value for found in floats_in(member)]
    return []
