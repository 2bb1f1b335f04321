"""Readings stored → rated → posted → decided, against plain SQL that writes the same rows."""

from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal

from bench_population import Population, odoo_registry

from tools.measuring import Figure, compare, seconds

NAME = "settle"
METERS = 10_000
PAIRS = 5
START = datetime(2026, 3, 2, 0, 0)
STEP = timedelta(minutes=30)


def run(context) -> list[Figure]:
    """Settle one new reading of each meter again and again; the yardstick does it in SQL."""
    with context.database("settle") as database, odoo_registry(database) as (registry, environment):
        with closing(registry.cursor()) as cr:
            ours = Population(environment(cr), "ours", METERS, START)
            plain = Population(environment(cr), "plain", METERS, START)
            cr.commit()
            cr.execute("ANALYZE")
            cr.commit()
        rounds = {"ours": 0, "plain": 0}

        def settle() -> float:
            rounds["ours"] += 1
            return METERS / seconds(lambda: _ours(registry, environment, ours, rounds["ours"]))

        def statement() -> float:
            rounds["plain"] += 1
            return METERS / seconds(lambda: _plain(registry, plain, rounds["plain"]))

        settle(), statement()  # the day's first rows, caches
        pairs = compare(settle, statement, PAIRS)
        _same_rows(registry, ours, plain)
    return [
        Figure(
            what=f"readings stored, rated, posted, decided; {METERS:,} meters",
            figure=pairs.figure,
            yardstick=pairs.yardstick,
            ratio=pairs.ratio,
            unit="meters/s",
            aim=0.4,
        )
    ]


def _reading(meter: int, number: int) -> Decimal:
    return Decimal(number) * (Decimal(meter % 97) + 40) / 100


def _ours(registry, environment, population: Population, number: int) -> None:
    moment = START + number * STEP
    with closing(registry.cursor()) as cr:
        env = environment(cr)
        env["energy.clock"]._set(moment, 0)
        rows = [
            (meter, moment, _reading(meter, number), None, "poll") for meter in population.meters
        ]
        env["energy.reading"]._ingest(rows)
        cr.commit()
    with closing(registry.cursor()) as cr:
        environment(cr)["energy.settlement"]._run()


def _plain(registry, population: Population, number: int) -> None:
    """One join, the same inserts with the same keys, one update a balance."""
    moment = START + number * STEP
    with closing(registry.cursor()) as cr:
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
                       local_date, period_id, unit_id, revision, note, user_id, hash)
                SELECT wallet, account, site, company, currency, number, 'use', 'electricity',
                       -money, balance - money, 'use/' || unit || '/' || revision, %(moment)s,
                       %(day)s, period, unit, revision, '2026-03', 1,
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
