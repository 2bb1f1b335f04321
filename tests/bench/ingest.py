"""Readings judged and stored, against COPY and one insert that ignores what is there already.

The yardstick stores whatever comes. Ours also looks up the neighbours of each reading, judges it
against them and queues its meter for settling: the ratio is the price of that.
"""

import io
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal

from bench_population import Population, odoo_registry

from tools.measuring import Figure, compare, seconds

NAME = "ingest"
METERS = 10_000
REPEATED = 1_000
PAIRS = 5
START = datetime(2026, 3, 2, 0, 0)
STEP = timedelta(minutes=30)


def run(context) -> list[Figure]:
    """Store a new reading of each meter again and again, some of the last ones repeated."""
    with context.database("ingest") as database, odoo_registry(database) as (registry, environment):
        with closing(registry.cursor()) as cr:
            ours = Population(environment(cr), "ours", METERS, START)
            plain = Population(environment(cr), "plain", METERS, START)
            # The project clock stands beyond all readings of this run.
            environment(cr)["energy.clock"]._set(START + timedelta(days=7), 0)
            cr.commit()
            cr.execute("ANALYZE")
            cr.commit()
        rounds = {"ours": 0, "plain": 0}

        def ingest() -> float:
            rounds["ours"] += 1
            rows = _rows(ours, rounds["ours"])
            return len(rows) / seconds(lambda: _ours(registry, environment, rows))

        def insert() -> float:
            rounds["plain"] += 1
            rows = _rows(plain, rounds["plain"])
            return len(rows) / seconds(lambda: _plain(registry, rows))

        ingest(), insert()
        pairs = compare(ingest, insert, PAIRS)
        _same_rows(registry, ours, plain)
    return [
        Figure(
            what=f"readings judged and stored, {len(_rows(ours, 1)):,} at once, a tenth repeated",
            figure=pairs.figure,
            yardstick=pairs.yardstick,
            ratio=pairs.ratio,
            unit="readings/s",
            must=0.5,
            aim=0.8,
        )
    ]


def _rows(population: Population, number: int) -> list[tuple]:
    """Return the readings of a round: each meter's new one, and some of the last round again."""
    return [
        (
            meter,
            START + count * STEP,
            Decimal(count) * (Decimal(meter % 97) + 40) / 100,
            None,
            "poll",
        )
        for count, meters in (
            (number - 1, population.meters[:REPEATED]),
            (number, population.meters),
        )
        for meter in meters
    ]


def _ours(registry, environment, rows: list[tuple]) -> None:
    with closing(registry.cursor()) as cr:
        environment(cr)["energy.reading"]._ingest(rows)
        cr.commit()


def _plain(registry, rows: list[tuple]) -> None:
    lines = "".join(f"{meter}\t{moment}\t{total}\n" for meter, moment, total, *_rest in rows)
    with closing(registry.cursor()) as cr:
        cr.execute(
            "CREATE TEMP TABLE arrived (meter_id int, moment timestamp, total numeric)"
            " ON COMMIT DROP"
        )
        cr.copy_expert("COPY arrived FROM STDIN", io.StringIO(lines))
        cr.execute(
            """
            INSERT INTO energy_reading_data (meter_id, moment, total, source, state, site_id,
                   company_id)
            SELECT m.id, a.moment, a.total, 'poll', 'accepted', m.site_id, m.company_id
              FROM arrived a JOIN energy_meter m ON m.id = a.meter_id
                ON CONFLICT DO NOTHING
            """
        )
        cr.commit()


def _same_rows(registry, ours: Population, plain: Population) -> None:
    """Both sides must have stored the same readings, each once."""
    with closing(registry.cursor()) as cr:
        counts = []
        for population in (ours, plain):
            cr.execute(
                """
                SELECT count(*), count(DISTINCT (meter_id, moment)) FROM energy_reading_data
                 WHERE meter_id = ANY(%(meters)s) AND state = 'accepted'
                """,
                {"meters": population.meters},
            )
            counts.append(cr.fetchone())
    if counts[0] != counts[1] or counts[0][0] != counts[0][1]:
        raise AssertionError(f"the two sides did not store the same readings: {counts}")
