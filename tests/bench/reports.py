"""The finance reports over a million entries, against the same sums over the entries themselves."""

from contextlib import closing
from datetime import datetime, timedelta

from bench_population import Population, odoo_registry

from tools.measuring import Figure, compare, seconds

NAME = "reports"
ACCOUNTS = 1_000
DAYS = 42
# A use an hour, a top-up each week: 1,000 accounts have 1,014,000 entries.
USES = 24
PAIRS = 5
START = datetime(2026, 3, 1, 0, 0)
TOTALS = ["amount:sum", "__count"]


def run(context) -> list[Figure]:
    """Read each report in pairs with its yardstick; the entries are made by one statement."""
    with context.database("reports") as database, odoo_registry(database) as (registry, env_of):
        with closing(registry.cursor()) as cr:
            env = env_of(cr)
            population = Population(env, "reports", ACCOUNTS, START)
            count = _entries(cr, population)
            env["energy.clock"]._set(START + timedelta(days=DAYS), 0)
            cr.commit()
            cr.execute("ANALYZE")
            cr.commit()
            rolled_up = seconds(lambda: _roll_up(env))
            cr.commit()
            cr.execute("ANALYZE energy_entry_day")
            cr.commit()
            _same_sums(env)
            figures = [_figure(env, count, *report) for report in _reports()]
            arrears = seconds(lambda: env["energy.arrears"].search_read([], limit=80))
        print(f"{count:,} entries: summed up in {rolled_up:.1f} s, arrears list {arrears:.2f} s")
    return figures


def _reports():
    """Yield what is read, the reading, and the same sums over the entries."""
    yield (
        "money by kind and month",
        lambda env: env["energy.finance.day"]._read_group(
            [], ["kind", "local_date:month"], ["received:sum", "earned:sum", "count:sum"]
        ),
        lambda env: env["energy.wallet.entry"]._read_group(
            [], ["kind", "local_date:month"], TOTALS
        ),
    )
    yield (
        "money by day of a site",
        lambda env: env["energy.finance.day"]._read_group(
            [("site_id.name", "=", "reports")],
            ["local_date:day", "side"],
            ["received:sum", "earned:sum", "count:sum"],
        ),
        lambda env: env["energy.wallet.entry"]._read_group(
            [("site_id.name", "=", "reports")],
            ["local_date:day", "side"],
            TOTALS,
        ),
    )
    yield (
        "roll-forward by month",
        lambda env: env["energy.advance.month"]._read_group(
            [], ["month:month"], ["opening:sum", "received:sum", "used:sum", "closing:sum"]
        ),
        lambda env: env["energy.wallet.entry"]._read_group(
            [], ["account_id", "local_date:month", "kind"], TOTALS
        ),
    )


def _figure(env, count, what, ours, plain) -> Figure:
    def rate(reading) -> float:
        env.invalidate_all()
        return 1 / seconds(lambda: reading(env))

    rate(ours), rate(plain)  # plans, caches
    pairs = compare(lambda: rate(ours), lambda: rate(plain), PAIRS)
    return Figure(
        what=f"{what}, {count:,} entries",
        figure=pairs.figure,
        yardstick=pairs.yardstick,
        ratio=pairs.ratio,
        unit="reports/s",
        aim=2,
    )


def _entries(cr, population: Population) -> int:
    """Fill the ledger through its own columns; the chain's hashes are none."""
    cr.execute(
        """
        WITH made AS (
            SELECT w.id AS wallet, w.account_id, w.site_id, w.company_id, w.currency_id,
                   p.id AS period, u.id AS unit, day, hour,
                   row_number() OVER (PARTITION BY w.id ORDER BY day, hour) AS number,
                   CASE WHEN hour = 0 THEN 150 ELSE -(1 + (w.id + day * hour) %% 100 / 100.0) END
                   AS amount
              FROM energy_wallet w
              JOIN energy_billing_period p ON p.account_id = w.account_id
              JOIN energy_rating_unit u ON u.account_id = w.account_id
             CROSS JOIN generate_series(0, %(days)s - 1) day
             CROSS JOIN generate_series(0, %(uses)s) hour
             WHERE w.account_id = ANY(%(accounts)s) AND (hour > 0 OR day %% 7 = 0))
        INSERT INTO energy_wallet_entry (wallet_id, account_id, site_id, company_id, currency_id,
               number, kind, category, amount, balance_after, key, moment, local_date, period_id,
               unit_id, revision, note, user_id, hash)
        SELECT wallet, account_id, site_id, company_id, currency_id, number,
               CASE hour WHEN 0 THEN 'top_up' ELSE 'use' END, 'electricity', amount,
               sum(amount) OVER (PARTITION BY wallet ORDER BY number),
               'bench/' || wallet || '/' || number,
               %(start)s + make_interval(days => day, mins => hour * 59),
               %(start)s::date + day,
               CASE WHEN hour > 0 AND day < 31 THEN period END,
               CASE WHEN hour > 0 THEN unit END, number, 'bench', 1, md5(wallet || '/' || number)
          FROM made ORDER BY day, hour, wallet
        """,
        {"days": DAYS, "uses": USES, "start": START, "accounts": population.accounts},
    )
    count = cr.rowcount
    cr.execute(
        """
        UPDATE energy_wallet w SET balance = e.balance_after, last_number = e.number, head = e.hash
          FROM (SELECT DISTINCT ON (wallet_id) * FROM energy_wallet_entry
                 ORDER BY wallet_id, number DESC) e
         WHERE w.id = e.wallet_id
        """
    )
    return count


def _roll_up(env) -> None:
    while env["energy.entry.day"]._roll_up():
        pass


def _same_sums(env) -> None:
    """Both sides must say the same."""
    site = [("site_id.name", "=", "reports")]
    day = dict(env["energy.finance.day"]._read_group(site, ["kind"], ["amount:sum"]))
    entries = dict(env["energy.wallet.entry"]._read_group(site, ["kind"], ["amount:sum"]))
    balances = env["energy.wallet"]._read_group(site, [], ["balance:sum"])[0][0]
    month = env["energy.advance.month"]._read_group(
        site, ["month:month"], ["closing:sum"], order="month:month desc", limit=1
    )
    cents = {kind: round(amount, 2) for kind, amount in day.items()}
    if cents != {kind: round(amount, 2) for kind, amount in entries.items()}:
        raise AssertionError(f"the reports differ from the entries: {day}, {entries}")
    if round(month[0][1], 2) != round(balances, 2):
        raise AssertionError(f"the roll-forward closes at {month}, balances are {balances}")
