"""Settling as an add-on would write it with Odoo's ORM: a thousand meters at a time.

One price, no rate periods, no tiers: less than ours does. What the models of this project forbid
(their own create and write) is passed by, so that the ORM writes the same rows of the same tables.
"""

from datetime import datetime

from odoo import models

BATCH = 1_000
PRICE = 0.6


def settle_by_orm(env, totals: dict[int, float], moment: datetime) -> None:
    """Store a reading of each meter and settle it; commit each batch.

    :param env: environment on a cursor, which is committed
    :param totals: register by meter id
    :param moment: naive UTC moment of all readings
    """
    # As an import or a scheduled action would.
    env = env(context=dict(env.context, tracking_disable=True))
    meters = list(totals)
    for first in range(0, len(meters), BATCH):
        _settle_batch(env, meters[first : first + BATCH], totals, moment)
        env.flush_all()
        env.cr.commit()
        env.invalidate_all()


def _settle_batch(env, meter_ids, totals, moment) -> None:
    meters = env["energy.meter"].browse(meter_ids)
    create, write = models.BaseModel.create, models.BaseModel.write
    create(
        env["energy.reading"],
        [
            {
                "meter_id": meter.id,
                "moment": moment,
                "total": totals[meter.id],
                "source": "poll",
                "state": "accepted",
                "site_id": meter.site_id.id,
                "company_id": meter.company_id.id,
            }
            for meter in meters
        ],
    )
    day = moment.date()
    supplies = env["energy.supply"].search([("meter_id", "in", meter_ids), ("end_at", "=", False)])
    accounts = supplies.account_id
    marks = {m.supply_id: m for m in env["energy.supply.mark"].search(_of(supplies, "supply_id"))}
    wallets = {w.account_id: w for w in env["energy.wallet"].search(_of(accounts, "account_id"))}
    units = {u.account_id: u for u in env["energy.rating.unit"].search(_of(accounts, "account_id"))}
    periods = {
        p.account_id: p
        for p in env["energy.billing.period"].search(
            [*_of(accounts, "account_id"), ("state", "=", "open")]
        )
    }
    usages = {
        usage.supply_id: usage
        for usage in env["energy.usage"].search(
            [*_of(supplies, "supply_id"), ("local_date", "=", day)]
        )
    }
    controls = {c.meter_id: c for c in env["energy.meter.control"].search(_of(meters, "meter_id"))}
    entries, new_usages = [], []
    for supply in supplies:
        account, meter = supply.account_id, supply.meter_id
        mark, wallet, unit = marks[supply], wallets[account], units[account]
        quantity = totals[meter.id] - mark.register
        amount = quantity * PRICE
        money = account.currency_id.round(amount)
        usage = usages.get(supply)
        if usage:
            write(usage, {"quantity": usage.quantity + quantity, "amount": usage.amount + amount})
        else:
            new_usages.append(
                {
                    "supply_id": supply.id,
                    "account_id": account.id,
                    "meter_id": meter.id,
                    "unit_id": unit.id,
                    "site_id": account.site_id.id,
                    "company_id": account.company_id.id,
                    "currency_id": account.currency_id.id,
                    "commodity": "electricity",
                    "local_date": day,
                    "band": "flat",
                    "tier": 1,
                    "version_id": supply.term_ids[-1:].tariff_id.version_ids[:1].id,
                    "quantity": quantity,
                    "amount": amount,
                }
            )
        revision = unit.revision + 1
        write(
            unit,
            {"due": unit.due + amount, "posted": unit.posted + money, "revision": revision},
        )
        write(mark, {"settled_until": moment, "register": totals[meter.id]})
        number, balance = wallet.last_number + 1, wallet.balance - money
        key = f"use/{unit.id}/{revision}"
        entries.append(
            {
                "wallet_id": wallet.id,
                "account_id": account.id,
                "site_id": account.site_id.id,
                "company_id": account.company_id.id,
                "currency_id": account.currency_id.id,
                "number": number,
                "kind": "use",
                "category": "electricity",
                "amount": -money,
                "balance_after": balance,
                "key": key,
                "moment": moment,
                "local_date": day,
                "period_id": periods[account].id,
                "unit_id": unit.id,
                "revision": revision,
                "note": f"{day:%Y-%m}",
                "user_id": env.uid,
                "used_until": moment,
                "hash": key,
            }
        )
        write(wallet, {"balance": balance, "last_number": number, "head": key})
        policy = account.credit_policy_id
        decision = "enough" if balance + policy.overdraft > policy.cut_off else "arrears"
        if controls[meter].decision != decision:
            write(
                controls[meter],
                {"decision": decision, "decided_balance": balance, "decided_at": moment},
            )
    create(env["energy.usage"], new_usages)
    create(env["energy.wallet.entry"], entries)


def _of(records, field) -> list:
    return [(field, "in", records.ids)]
