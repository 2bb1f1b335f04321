"""A field of simulated gateways in a database, and entries that have its supplies switched."""

import logging
import random
import time
from contextlib import closing
from datetime import datetime
from decimal import Decimal

import field_site
from bench_population import Population

START = datetime.fromisoformat(field_site.START.rstrip("Z"))
#: Project seconds a second: with an interval of one minute every bus then always has work.
SPEED = 60
BALANCE = Decimal(100_000)


class Field:
    """A site whose meters stand behind simulated gateways; each account owns one meter.

    `places`: (port, unit) of each meter by its account.
    """

    def __init__(self, registry, environment, ports: list[int]) -> None:
        self.registry, self.environment = registry, environment
        self._keys = 0
        # Odoo logs each conflict as an error; here, as there, the work is repeated.
        logging.getLogger("odoo.sql_db").setLevel(logging.CRITICAL)
        with closing(registry.cursor()) as cr:
            env = environment(cr)
            population = Population(env, "field", len(ports) * field_site.UNITS, START)
            self.accounts = population.accounts
            self._make_field(env, population, ports)
            cr.commit()
            cr.execute("ANALYZE")
            cr.commit()
        with closing(registry.cursor()) as cr:
            cr.execute(
                "SELECT s.account_id, g.port, m.unit_id FROM energy_supply s"
                " JOIN energy_meter m ON m.id = s.meter_id"
                " JOIN energy_gateway g ON g.id = m.gateway_id"
            )
            self.places = {account: (port, unit) for account, port, unit in cr.fetchall()}
        self.post(self.accounts, BALANCE)

    def _make_field(self, env, population: Population, ports: list[int]) -> None:
        from odoo.addons.prepaid_energy_meter.database_identity import database_identity

        env["ir.config_parameter"].set_param(
            "prepaid_energy_meter.allowed_addresses", "127.0.0.0/8"
        )
        profiles = env["energy.meter.profile"]
        values, registers = profiles._from_dict(field_site.PROFILE)
        profile = profiles.create(
            {**values, "register_ids": [(0, 0, register) for register in registers]}
        )
        # The entries name no journal: there is nothing to book.
        env.ref("prepaid_energy.ir_cron_book_entries").active = False
        identity = database_identity(env.cr)
        site = env["energy.meter"].browse(population.meters[0]).site_id
        # Neither pace nor breaker: what is measured is the way, not the rules on it.
        site.write(
            {
                "supply_state": "live",
                "switching_gap": 0,
                "switching_most": 0,
                "switching_rate": 1000,
                "cut_rooms_hour": 100_000,
                "cut_percent_hour": 100,
                "cut_one_in_day": 1,
            }
        )
        gateways = env["energy.gateway"].create(
            [
                {"name": f"Bus {port}", "site_id": site.id, "host": "127.0.0.1", "port": port}
                for port in ports
            ]
        )
        gateways.write({"armed_identity": identity, "cut_release_identity": identity})
        env.flush_all()
        env.cr.execute(
            """
            UPDATE energy_meter m
               SET driver = 'modbus', profile_id = %s, read_interval = 1, reads_every = 1,
                   is_commissioned = TRUE,
                   max_power = 0,
                   gateway_id = (%s)[1 + (v.number - 1) / %s], unit_id = 1 + (v.number - 1) %% %s,
                   name = lpad(((v.number - 1) / %s)::text, 3, '0')
                          || lpad((1 + (v.number - 1) %% %s)::text, 2, '0')
              FROM unnest(%s) WITH ORDINALITY AS v(id, number)
             WHERE m.id = v.id
            """,
            [profile.id, gateways.ids, *[field_site.UNITS] * 4, population.meters],
        )
        env.cr.execute("UPDATE energy_credit_policy SET overdraft = 0, fresh_hours = 1000")
        env.invalidate_all()
        env["energy.clock"]._set(START, SPEED)

    def post(self, accounts: list[int], amount: Decimal) -> float:
        """Move the balances as money does and decide on the supplies; the monotonic moment at
        which it was committed."""
        from psycopg2.errors import SerializationFailure

        while True:
            try:
                return self._post(accounts, amount)
            except SerializationFailure:
                # A settling was first; Odoo repeats a request then, too.
                continue

    def _post(self, accounts: list[int], amount: Decimal) -> float:
        from odoo.addons.prepaid_energy.models.energy_wallet import Draft

        with closing(self.registry.cursor()) as cr:
            env = self.environment(cr)
            wallets = env["energy.account"].browse(accounts).wallet_ids
            locked = wallets._lock(wallets.ids)
            drafts = []
            for wallet in wallets:
                self._keys += 1
                drafts.append(
                    Draft(
                        wallet_id=wallet.id,
                        kind="top_up" if amount > 0 else "adjustment",
                        category="electricity",
                        amount=amount,
                        key=f"bench/{self._keys}",
                        local_date=START.date(),
                        note="bench",
                        user_id=env.uid,
                    )
                )
            wallets._post(drafts, locked)
            keys = {draft.wallet_id: draft.key for draft in drafts}
            cause = "payment" if amount > 0 else "policy"
            wallets._follow(wallets.account_id, keys, cause=cause)
            env.flush_all()
            cr.commit()
        return time.monotonic()

    def value(self, query: str):
        with closing(self.registry.cursor()) as cr:
            cr.execute(query)
            return cr.fetchone()[0]

    def wait(self, query: str, seconds: float) -> None:
        """Wait until a query returns true."""
        until = time.monotonic() + seconds
        while not self.value(query):
            if time.monotonic() > until:
                raise AssertionError(f"not so within {seconds} s: {query}")
            time.sleep(0.2)

    def latencies(self, simulator, accounts: list[int], amount: Decimal) -> list[float]:
        """Seconds from each entry's commit to the moment its meter's write was answered.

        The entries come one after another, at random phases of the buses.
        """
        chance = random.Random(len(accounts))
        committed = {}
        for account in accounts:
            committed[account] = self.post([account], amount)
            time.sleep(chance.uniform(0.02, 0.2))
        self.wait(
            "SELECT NOT EXISTS (SELECT 1 FROM energy_command WHERE state IN ('queued', 'sent'))", 60
        )
        # The commit returns to whoever posts, and is heard by the connector, at the same time.
        answered = {}
        for row in simulator.written():
            answered.setdefault((row["gateway"], row["unit"]), []).append(row["answered"])
        return [
            min(at for at in answered[self.places[account]] if at > when - 0.5) - when
            for account, when in committed.items()
        ]
