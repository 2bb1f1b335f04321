"""Readings stored → rated → posted → decided, against plain SQL that writes the same rows.

Further against the ORM in batches, with few and with many readings stored, and in memory. All of it
takes some ten minutes; `ENERGY_BENCH_METERS` (1000,10000) and `ENERGY_BENCH_STORED` (0: none) make
it shorter.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from bench_orm import settle_by_orm
from bench_population import Population, odoo_registry

from tools.measuring import Figure, compare, seconds

NAME = "settle"
SIZES = tuple(map(int, os.environ.get("ENERGY_BENCH_METERS", "1000,10000,100000").split(",")))
STORED = int(os.environ.get("ENERGY_BENCH_STORED", "30000000"))
FEW_STORED = 1_000_000
# Meters whose history grows, of the ORM, and by which memory is compared.
METERS = 10_000
FEW_METERS, MANY_METERS = 1_000, 100_000
PAIRS = 5
START = datetime(2026, 3, 2, 0, 0)
STEP = timedelta(minutes=30)
SETTLER = Path(__file__).with_name("bench_settler.py")


def run(context) -> list[Figure]:
    """Settle one new reading of each meter again and again, in turn with each yardstick."""
    figures = [_against_sql(context, size) for size in SIZES]
    figures.append(_against_orm(context))
    if STORED:
        figures.append(_with_more_stored(context))
    figures.append(_memory(context))
    return figures


class Side:
    """A population and how it gets and settles one more reading of each meter."""

    def __init__(self, registry, environment, name: str, meters: int, settle) -> None:
        self.registry, self.environment = registry, environment
        self.count, self._settle = 0, settle
        with closing(registry.cursor()) as cr:
            self.population = Population(environment(cr), name, meters, START)
            cr.commit()

    def rate(self) -> float:
        """Settle once more; return meters a second."""
        self.count += 1
        length = seconds(lambda: self._settle(self, self.count))
        return len(self.population.meters) / length


def _warm_up(*sides: Side) -> None:
    """Settle the day's first rows; let the planner know what is there, as autovacuum would."""
    for side in sides:
        _analyze(side.registry)
        side.rate()
        _analyze(side.registry)


def _analyze(registry) -> None:
    with closing(registry.cursor()) as cr:
        cr.execute("ANALYZE")
        cr.commit()


def _against(context, meters: int, name: str, settle, what: str, must, aim) -> Figure:
    """Settle in turn with a yardstick; both end with the same rows."""
    with context.database("settle") as database, odoo_registry(database) as (registry, environment):
        ours = Side(registry, environment, "ours", meters, _ours)
        theirs = Side(registry, environment, name, meters, settle)
        _warm_up(ours, theirs)
        pairs = compare(ours.rate, theirs.rate, PAIRS)
        _same_rows(registry, ours.population, theirs.population)
    return Figure(
        what=what,
        figure=pairs.figure,
        yardstick=pairs.yardstick,
        ratio=pairs.ratio,
        unit="meters/s",
        must=must,
        aim=aim,
    )


def _against_sql(context, meters: int) -> Figure:
    what = f"readings stored, rated, posted, decided; {meters:,} meters; plain SQL"
    return _against(context, meters, "plain", _plain, what, 0.4, 0.7)


def _against_orm(context) -> Figure:
    what = f"the same; {METERS:,} meters; the ORM in batches, one price"
    return _against(context, METERS, "orm", _orm, what, 1.5, 2.5)


def _with_more_stored(context) -> Figure:
    """Settle the same meters in two databases, of which one has a long history of them."""
    with ExitStack() as stack:
        sides = []
        for name, stored in (("many", STORED), ("few", FEW_STORED)):
            database = stack.enter_context(context.database(f"settle_{name}"))
            registry, environment = stack.enter_context(odoo_registry(database))
            side = Side(registry, environment, name, METERS, _ours)
            with closing(registry.cursor()) as cr:
                _store(cr, side.population, stored)
                cr.commit()
            _warm_up(side)
            sides.append(side)
        many, few = sides
        pairs = compare(many.rate, few.rate, PAIRS)
    return Figure(
        what=f"the same; {METERS:,} meters; {STORED:,} readings stored, yardstick {FEW_STORED:,}",
        figure=pairs.figure,
        yardstick=pairs.yardstick,
        ratio=pairs.ratio,
        unit="meters/s",
        must=0.8,
        aim=0.95,
    )


def _store(cr, population: Population, count: int) -> None:
    """Store readings of the months before the start: of each meter one every half an hour."""
    each = count // len(population.meters)
    month = START.date().replace(day=1)
    for back in range(1 + each // (28 * 48)):
        cr.execute(
            "SELECT energy_reading_partition((%s - make_interval(months => %s))::date)",
            [month, back],
        )
    cr.execute(
        """
        INSERT INTO energy_reading_data (meter_id, moment, total, source, state, site_id,
               company_id)
        SELECT m.id, %(start)s - n * %(step)s, 0, 'poll', 'accepted', m.site_id, m.company_id
          FROM energy_meter m CROSS JOIN generate_series(1, %(each)s) n
         WHERE m.id = ANY(%(meters)s)
        """,
        {"start": START, "step": STEP, "each": each, "meters": population.meters},
    )


def _memory(context) -> Figure:
    """Let processes of their own settle few and many meters; compare their peaks."""
    peaks = []
    with context.database("settle") as database:
        for meters in (FEW_METERS, MANY_METERS):
            with odoo_registry(database) as (registry, environment):
                side = Side(registry, environment, f"memory {meters}", meters, _stored)
                side.rate()
            settler = [sys.executable, str(SETTLER), database]
            done = subprocess.run(settler, check=True, capture_output=True, text=True)
            accounts, peak = map(int, done.stdout.split())
            if accounts != meters:
                raise AssertionError(f"{accounts} accounts were settled, not {meters}")
            peaks.append(peak / 1024)
    return Figure(
        what=f"memory: from {FEW_METERS:,} ({peaks[0]:.0f} MB) to {MANY_METERS:,} meters, more",
        figure=peaks[1] - peaks[0],
        unit="MB",
        must=64,
        aim=16,
        smaller_is_better=True,
    )


def _reading(meter: int, number: int) -> Decimal:
    return Decimal(number) * (Decimal(meter % 97) + 40) / 100


def _stored(side: Side, number: int) -> None:
    moment = START + number * STEP
    with closing(side.registry.cursor()) as cr:
        env = side.environment(cr)
        env["energy.clock"]._set(moment, 0)
        meters = side.population.meters
        rows = [(meter, moment, _reading(meter, number), None, "poll") for meter in meters]
        env["energy.reading"]._ingest(rows)
        cr.commit()


def _ours(side: Side, number: int) -> None:
    _stored(side, number)
    with closing(side.registry.cursor()) as cr:
        side.environment(cr)["energy.settlement"]._run()


def _orm(side: Side, number: int) -> None:
    moment = START + number * STEP
    with closing(side.registry.cursor()) as cr:
        env = side.environment(cr)
        env["energy.clock"]._set(moment, 0)
        totals = {meter: float(_reading(meter, number)) for meter in side.population.meters}
        settle_by_orm(env, totals, moment)


def _plain(side: Side, number: int) -> None:
    """One join, the same inserts with the same keys, one update a balance."""
    moment = START + number * STEP
    population = side.population
    with closing(side.registry.cursor()) as cr:
        cr.execute("SET LOCAL jit = off")
        cr.execute(
            """
            INSERT INTO energy_reading_data (meter_id, moment, total, source, state, site_id,
                   company_id)
            SELECT id, %(moment)s, %(number)s * (id %% 97 + 40)::numeric / 100, 'poll', 'accepted',
                   site_id, company_id FROM energy_meter WHERE id = ANY(%(meters)s)
            """,
            {"moment": moment, "number": number, "meters": population.meters},
        )
        cr.execute(
            """
            WITH priced AS MATERIALIZED (
                SELECT s.id AS supply, s.account_id AS account, s.meter_id AS meter, w.id AS wallet,
                       g.id AS unit, g.revision + 1 AS revision, p.id AS period, v.id AS version,
                       a.site_id AS site, a.company_id AS company, a.currency_id AS currency,
                       r.total AS total, r.total - k.register AS quantity,
                       (r.total - k.register) * 0.6 AS amount,
                       round((r.total - k.register) * 0.6, 2) AS money,
                       w.balance AS balance, w.last_number + 1 AS number
                  FROM energy_supply s
                  JOIN energy_account a ON a.id = s.account_id
                  JOIN energy_wallet w ON w.account_id = a.id
                  JOIN energy_supply_term t ON t.supply_id = s.id
                  JOIN energy_tariff_version v ON v.tariff_id = t.tariff_id
                  JOIN energy_supply_mark k ON k.supply_id = s.id
                  JOIN energy_rating_unit g ON g.account_id = a.id
                  JOIN energy_billing_period p ON p.account_id = a.id
                  JOIN energy_reading_data r ON r.meter_id = s.meter_id AND r.moment = %(moment)s
                 WHERE s.meter_id = ANY(%(meters)s)),
            counted AS (
                INSERT INTO energy_usage (supply_id, account_id, meter_id, unit_id, site_id,
                       company_id, currency_id, commodity, local_date, band, tier, version_id,
                       quantity, amount, is_interpolated)
                SELECT supply, account, meter, unit, site, company, currency, 'electricity',
                       %(day)s, 'flat', 1, version, quantity, amount, FALSE FROM priced
                    ON CONFLICT (supply_id, local_date, band, tier, version_id) DO UPDATE
                   SET quantity = energy_usage.quantity + EXCLUDED.quantity,
                       amount = energy_usage.amount + EXCLUDED.amount),
            posted AS (
                UPDATE energy_rating_unit g SET due = due + amount, posted = posted + money,
                       revision = priced.revision FROM priced WHERE g.id = priced.unit),
            marked AS (
                UPDATE energy_supply_mark k SET settled_until = %(moment)s, register = total
                  FROM priced WHERE k.supply_id = priced.supply),
            entered AS (
                INSERT INTO energy_wallet_entry (wallet_id, account_id, site_id, company_id,
                       currency_id, number, kind, category, amount, balance_after, key, moment,
                       local_date, period_id, unit_id, revision, note, user_id, used_until,
                       hash)
                SELECT wallet, account, site, company, currency, number, 'use', 'electricity',
                       -money, balance - money, 'use/' || unit || '/' || revision, %(moment)s,
                       %(day)s, period, unit, revision, '2026-03', 1, %(moment)s,
                       md5(wallet::text) || md5(number::text) FROM priced)
            UPDATE energy_wallet w SET balance = w.balance - money, last_number = priced.number,
                   head = md5(wallet::text) || md5(priced.number::text)
              FROM priced WHERE w.id = priced.wallet
            """,
            {"moment": moment, "meters": population.meters, "day": "2026-03-02"},
        )
        cr.commit()


def _same_rows(registry, ours: Population, plain: Population) -> None:
    """Both sides must have written as many entries and have kept their balances."""
    with closing(registry.cursor()) as cr:
        counts = []
        for population in (ours, plain):
            cr.execute(
                """
                SELECT count(*), count(DISTINCT wallet_id), sum(amount) = (
                       SELECT sum(balance) FROM energy_wallet WHERE account_id = ANY(%(accounts)s))
                  FROM energy_wallet_entry WHERE account_id = ANY(%(accounts)s)
                """,
                {"accounts": population.accounts},
            )
            counts.append(cr.fetchone())
    if counts[0] != counts[1] or not counts[0][2]:
        raise AssertionError(f"the two sides did not write the same rows: {counts}")
