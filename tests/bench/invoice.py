"""Periods frozen and invoiced, and balances credited, against stock Odoo doing the same."""

from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from itertools import count

from bench_population import Population, odoo_registry

from tools.measuring import Figure, compare, seconds

NAME = "invoice"
BATCH = 100
PAIRS = 5
PAYMENTS = 20
START = datetime(2026, 3, 1, 0, 0)
READ = datetime(2026, 3, 31, 22, 0)
UNTIL = date(2026, 3, 31)
AFTER = datetime(2026, 4, 3, 12, 0)


def run(context) -> list[Figure]:
    """Invoice a month of accounts in batches; stock Odoo creates and posts the same lines.

    Ours freezes the periods as well; stock leaves out what we add to a line, its exact amounts.
    """
    accounts = BATCH * (PAIRS + 1)
    with (
        context.database("invoice") as database,
        odoo_registry(database) as (registry, environment),
    ):
        with closing(registry.cursor()) as cr:
            env = environment(cr)
            _set_up_books(env)
            ours = Population(env, "ours", accounts, START)
            stock = Population(env, "stock", accounts, START)
            for population in (ours, stock):
                _give_customers(env, population)
                _use(env, population)
            cr.commit()
        with closing(registry.cursor()) as cr:
            environment(cr)["energy.settlement"]._run()
        with closing(registry.cursor()) as cr:
            env = environment(cr)
            env["energy.clock"]._set(AFTER, 0)
            env["energy.billing.period"]._freeze(dict.fromkeys(stock.accounts, UNTIL))
            cr.commit()
            cr.execute("ANALYZE")
            cr.commit()
        rounds = {"ours": count(), "stock": count()}

        def invoice() -> float:
            batch = _batch(ours, next(rounds["ours"]))
            return BATCH / seconds(lambda: _ours(registry, environment, batch))

        def create_and_post() -> float:
            batch = _batch(stock, next(rounds["stock"]))
            return BATCH / seconds(lambda: _stock(registry, environment, batch))

        invoice(), create_and_post()
        invoices = compare(invoice, create_and_post, PAIRS)
        _same_totals(registry, ours, stock)
        payments = _payments(registry, environment, ours, stock)
    return [
        Figure(
            what=f"periods frozen and invoiced, {BATCH} at a time",
            figure=invoices.figure,
            yardstick=invoices.yardstick,
            ratio=invoices.ratio,
            unit="invoices/s",
            must=0.9,
            aim=1.25,
        ),
        Figure(
            what="balance credited / stock payment registered",
            figure=payments.figure,
            yardstick=payments.yardstick,
            ratio=payments.ratio,
            unit="s each",
            must=0.15,
            aim=0.05,
            smaller_is_better=True,
        ),
    ]


def _batch(population: Population, number: int) -> list[int]:
    return population.accounts[number * BATCH : (number + 1) * BATCH]


def _set_up_books(env) -> None:
    if not env.company.chart_template:
        env["account.chart.template"].try_loading(
            "generic_coa", company=env.company, install_demo=False
        )
    env.company._energy_set_up_books()


def _give_customers(env, population: Population) -> None:
    partners = env["res.partner"].create([{"name": f"Tenant {n}"} for n in population.accounts])
    env.flush_all()
    env.cr.execute(
        "UPDATE energy_account a SET partner_id = v.partner"
        "  FROM unnest(%s, %s) AS v(account, partner) WHERE a.id = v.account",
        [population.accounts, partners.ids],
    )
    env.invalidate_all()


def _use(env, population: Population) -> None:
    env["energy.clock"]._set(READ, 0)
    env["energy.reading"]._ingest(
        [
            (meter, READ, Decimal(2000 + position % 97) / 100, None, "poll")
            for position, meter in enumerate(population.meters)
        ]
    )


def _ours(registry, environment, accounts: list[int]) -> None:
    with closing(registry.cursor()) as cr:
        env = environment(cr)
        env["energy.billing.period"]._freeze(dict.fromkeys(accounts, UNTIL), skip_locked=True)
        periods = env["energy.billing.period"].search(
            [("account_id", "in", accounts), ("state", "=", "closed")]
        )
        assert len(periods._invoice(set_aside=True)) == len(accounts)
        cr.commit()


def _stock(registry, environment, accounts: list[int]) -> None:
    with closing(registry.cursor()) as cr:
        env = environment(cr)
        product = (
            env["energy.billing.product"]
            .search([("company_id", "=", env.company.id), ("category", "=", "electricity")])
            .product_id
        )
        periods = env["energy.billing.period"].search([("account_id", "in", accounts)])
        site = periods[0].site_id
        moves = env["account.move"].create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": period.account_id.partner_id.id,
                    "invoice_date": UNTIL,
                    "invoice_line_ids": [
                        (
                            0,
                            0,
                            {
                                "product_id": product.id,
                                "name": f"{line.band} {line.tier}",
                                "quantity": line.quantity,
                                "price_unit": line.price,
                                "analytic_distribution": {str(site._analytic_account().id): 100},
                            },
                        )
                        for line in period.line_ids
                    ],
                }
                for period in periods
            ]
        )
        moves.action_post()
        cr.commit()


def _same_totals(registry, ours: Population, stock: Population) -> None:
    """Both sides must have invoiced as many periods with as many lines."""
    with closing(registry.cursor()) as cr:
        counts = []
        for population in (ours, stock):
            cr.execute(
                """
                SELECT count(DISTINCT m.id), count(*) FILTER (WHERE l.display_type = 'product')
                  FROM account_move m JOIN account_move_line l ON l.move_id = m.id
                 WHERE m.state = 'posted' AND m.move_type = 'out_invoice' AND m.partner_id IN (
                       SELECT partner_id FROM energy_account WHERE id = ANY(%s))
                """,
                [population.accounts],
            )
            counts.append(cr.fetchone())
    if counts[0] != counts[1] or not counts[0][0]:
        raise AssertionError(f"the two sides did not invoice the same: {counts}")


def _payments(registry, environment, ours: Population, stock: Population):
    numbers = {"ours": count(), "stock": count()}
    with closing(registry.cursor()) as cr:
        env = environment(cr)
        wallets = env["energy.wallet"].search([("account_id", "in", ours.accounts)]).ids
        partners = env["energy.account"].browse(stock.accounts).partner_id.ids
        invoices = (
            env["account.move"]
            .search([("partner_id", "in", partners), ("move_type", "=", "out_invoice")])
            .ids
        )
        method = env["energy.payment.method"].search([], limit=1).id

    def credit() -> float:
        return (
            seconds(
                lambda: [
                    _credit(registry, environment, wallets[next(numbers["ours"])], method)
                    for _ in range(PAYMENTS)
                ]
            )
            / PAYMENTS
        )

    def register() -> float:
        return (
            seconds(
                lambda: [
                    _register(registry, environment, invoices[next(numbers["stock"])])
                    for _ in range(PAYMENTS)
                ]
            )
            / PAYMENTS
        )

    credit(), register()
    return compare(credit, register, PAIRS)


def _credit(registry, environment, wallet: int, method: int) -> None:
    with closing(registry.cursor()) as cr:
        env = environment(cr)
        env["energy.wallet"].browse(wallet)._top_up(
            50, f"bench/{wallet}", env["energy.payment.method"].browse(method)
        )
        cr.commit()


def _register(registry, environment, invoice: int) -> None:
    with closing(registry.cursor()) as cr:
        env = environment(cr)
        env["account.payment.register"].with_context(
            active_model="account.move", active_ids=[invoice]
        ).create({}).action_create_payments()
        cr.commit()
