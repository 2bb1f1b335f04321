"""Many meters with accounts, made by SQL in seconds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dateutil.relativedelta import relativedelta

from tools import odoo_command


@contextmanager
def odoo_registry(database: str) -> Iterator[tuple]:
    """The registry of a database in this process, and how to make an environment on a cursor."""
    os.environ.update(odoo_command.environment())
    import odoo
    from odoo import SUPERUSER_ID, api
    from odoo.modules.registry import Registry

    odoo.tools.config.parse_config(["-d", database, "--log-level=warn"], setup_logging=True)

    def environment(cr):
        return api.Environment(cr, SUPERUSER_ID, {})

    registry = Registry(database)
    try:
        yield registry, environment
    finally:
        registry.delete(database)
        odoo.sql_db.close_db(database)


class Population:
    """A site with as many meters, each serving an account of its own since a moment.

    A third of the tariffs has one price, a third two rate periods, a third tiers in them.
    `meters` and `accounts` are lists of ids.
    """

    def __init__(self, env, name: str, count: int, start) -> None:
        env["ir.config_parameter"].set_param("prepaid_energy.clock_is_adjustable", "1")
        env["energy.clock"]._set(start, 0)
        company = env.company
        site = env["energy.property"].create(
            {"name": name, "kind": "site", "tz": "UTC", "company_id": company.id}
        )
        policy = env["energy.credit.policy"].create(
            {"name": name, "company_id": company.id, "overdraft": 1_000_000}
        )
        tariffs = [
            self._tariff(env, f"{name} flat", {"flat": [0.6]}, (), ()),
            self._tariff(
                env, f"{name} bands", {"peak": [0.568], "valley": [0.288]}, [("peak", 8, 22)], ()
            ),
            self._tariff(
                env,
                f"{name} tiers",
                {"peak": [0.568, 0.618, 0.868], "valley": [0.288, 0.338, 0.588]},
                [("peak", 8, 22)],
                (3, 6),
            ),
        ]
        env.flush_all()
        cr = env.cr
        # This month and the last one have their partitions, as in any database in use.
        month = start.date().replace(day=1)
        for first in (month - relativedelta(months=1), month):
            cr.execute("SELECT energy_reading_partition(%s)", [first])
        values = {
            "name": name,
            "count": count,
            "site": site.id,
            "company": company.id,
            "currency": company.currency_id.id,
            "policy": policy.id,
            "start": start,
            "tariffs": [tariff.id for tariff in tariffs],
            "month": month,
        }
        cr.execute(
            """
            INSERT INTO energy_meter (name, commodity, property_id, site_id, company_id, active,
                   driver, register_digits, max_power, read_interval, reads_every, is_protected,
                   cut_priority, can_switch)
            SELECT %(name)s || n, 'electricity', %(site)s, %(site)s, %(company)s, TRUE, 'none', 6,
                   30, 30, 30, FALSE, 10, TRUE FROM generate_series(1, %(count)s) n RETURNING id
            """,
            values,
        )
        self.meters = [row[0] for row in cr.fetchall()]
        cr.execute(
            """
            INSERT INTO energy_account (name, partner_id, company_id, currency_id, site_id,
                   payment_mode, occupancy_role, credit_policy_id, state, opened_at)
            SELECT %(name)s || n, (SELECT partner_id FROM res_company WHERE id = %(company)s),
                   %(company)s, %(currency)s, %(site)s, 'prepaid', 'main', %(policy)s, 'active',
                   %(start)s
              FROM generate_series(1, %(count)s) n RETURNING id
            """,
            values,
        )
        self.accounts = [row[0] for row in cr.fetchall()]
        values |= {"meters": self.meters, "accounts": self.accounts}
        for statement in (
            "INSERT INTO energy_meter_status (meter_id, supply_state)"
            " SELECT unnest(%(meters)s), 'on'",
            "INSERT INTO energy_meter_control (meter_id, mode, last_number)"
            " SELECT unnest(%(meters)s), 'prepaid', 0",
            "INSERT INTO energy_wallet (account_id, company_id, currency_id, site_id, balance,"
            " last_number, head) SELECT unnest(%(accounts)s), %(company)s, %(currency)s, %(site)s,"
            " 0, 0, ''",
            "INSERT INTO energy_supply (account_id, meter_id, company_id, site_id, start_at,"
            " opening_register) SELECT account, meter, %(company)s, %(site)s, %(start)s, 0"
            " FROM unnest(%(accounts)s, %(meters)s) AS v(account, meter)",
            "INSERT INTO energy_supply_term (supply_id, company_id, site_id, since, tariff_id,"
            " multiplier, band_source) SELECT id, company_id, site_id, start_at,"
            " (%(tariffs)s)[1 + meter_id %% 3], 1, 'platform' FROM energy_supply"
            " WHERE account_id = ANY(%(accounts)s)",
            "INSERT INTO energy_supply_mark (supply_id, settled_until, register)"
            " SELECT id, start_at, 0 FROM energy_supply WHERE account_id = ANY(%(accounts)s)",
            "INSERT INTO energy_reading_data (meter_id, moment, total, source, state, site_id,"
            " company_id) SELECT unnest(%(meters)s), %(start)s, 0, 'typed', 'accepted', %(site)s,"
            " %(company)s",
            "INSERT INTO energy_billing_period (account_id, company_id, site_id, date_from,"
            " date_to, state) SELECT unnest(%(accounts)s), %(company)s, %(site)s, %(month)s,"
            " (%(month)s + interval '1 month - 1 day')::date, 'open'",
            "INSERT INTO energy_rating_unit (account_id, site_id, company_id, currency_id,"
            " commodity, period_start, period_end, month, due, posted, revision)"
            " SELECT unnest(%(accounts)s),"
            " %(site)s, %(company)s, %(currency)s, 'electricity', %(month)s,"
            " (%(month)s + interval '1 month')::date, %(month)s, 0, 0, 0",
        ):
            cr.execute(statement, values)
        env.invalidate_all()

    @staticmethod
    def _tariff(env, name, prices, windows, limits):
        tariff = env["energy.tariff"].create({"name": name, "commodity": "electricity"})
        version = env["energy.tariff.version"].create(
            {
                "tariff_id": tariff.id,
                "date_from": "2020-01-01",
                "band_ids": [
                    (0, 0, {"name": key, "key": key, "is_rest": key in ("flat", "valley")})
                    for key in prices
                ],
                "tier_ids": [
                    (0, 0, {"number": number + 1, "limit": limit})
                    for number, limit in enumerate([*limits, 0])
                ]
                if limits
                else [],
            }
        )
        bands = {band.key: band.id for band in version.band_ids}
        version.window_ids = [
            (0, 0, {"band_id": bands[key], "hour_from": start, "hour_to": end})
            for key, start, end in windows
        ]
        version.price_ids = [
            (0, 0, {"band_id": bands[key], "tier": tier + 1, "price": price})
            for key, tiers in prices.items()
            for tier, price in enumerate(tiers)
        ]
        version.action_approve()
        return tariff
