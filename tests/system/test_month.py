"""A month of 24 meters on real load curves, through server, connector and simulator."""

from datetime import timedelta
from decimal import Decimal

from site_plan import METERS, START, TARIFFS
from tenancy import Tenancy

from simulator.load import curves, displayed, energy

RESOLUTIONS = {"electricity": Decimal("0.01"), "water": Decimal("0.001")}


def test_a_month_through_the_connector(run_site):
    """31 days and the first hours of the next month, read every hour."""
    with run_site("month") as site:
        site.start()
        tenancy = Tenancy(site)
        tenancy.begin()
        tenancy.live(timedelta(days=31, hours=6))

        cut = {number: count for number, count in tenancy.cuts.items() if count}
        assert cut == {3: 1, 5: 2, 6: 1, 7: 2, 8: 1}
        assert set(tenancy.off_at) == {6}, "the one who never pays, and nobody else, is dark"
        assert _commands_obeyed(site) == _commands_due(cut)
        assert_undisturbed_meters_followed_their_curves(site, set(cut))
        assert _priced_parts(site) == {
            (name, period, tier)
            for name, tariff in TARIFFS.items()
            for period, prices in tariff.prices.items()
            for tier in range(1, len(prices) + 1)
        }
        site.wait_until(lambda: not _unbooked(site), "the books")
        assert site.value("SELECT count(*) FROM energy_wallet_entry WHERE kind = 'top_up'") == 22


def test_three_days_by_the_scheduled_action(run_site):
    """No connector runs: the server's scheduled action reads, charges and switches."""
    with run_site("cron", connector=False) as site:
        site.start()
        holders = {_holder(site)}
        tenancy = Tenancy(site)
        tenancy.begin()
        days = 3
        tenancy.live(timedelta(days=days))
        # One run takes 40 real seconds: the next one must have come by itself.
        while len(holders - {None}) < 2:
            days += 0.25
            tenancy.live(timedelta(days=days))
            holders.add(_holder(site))
        assert {number for number, count in tenancy.cuts.items() if count} >= {3, 5}
        site.wait_until(lambda: not _unbooked(site), "the books")


def _commands_obeyed(site):
    """How often each meter was switched off and on, from the simulator."""
    counts = {}
    for row in site.simulator.commands():
        word = "off" if row["command"] in ("forced off", "close") else "on"
        assert row["command"] in ("forced off", "forced on", "close", "open")
        counts[row["serial"], word] = counts.get((row["serial"], word), 0) + 1
    return counts


def _commands_due(cuts):
    due = {}
    for meter in METERS:
        if cuts.get(meter.account):
            due[meter.serial, "off"] = cuts[meter.account]
            if meter.account != 6:
                due[meter.serial, "on"] = cuts[meter.account]
    return due


def assert_undisturbed_meters_followed_their_curves(site, cut):
    registers = site.registers()
    for meter in METERS:
        if meter.account in cut:
            continue
        used = energy(curves()[meter.curve], meter.scale, START, site.moment, offset_hours=8)
        shown = Decimal(meter.register) + displayed(used, RESOLUTIONS[meter.commodity])
        assert Decimal(registers[meter.serial]) == shown


def _priced_parts(site):
    """(tariff, rate period, tier) of all that was charged."""
    return set(
        site.rows(
            "SELECT DISTINCT t.name ->> 'en_US', u.band, u.tier FROM energy_usage u"
            "  JOIN energy_tariff_version v ON v.id = u.version_id"
            "  JOIN energy_tariff t ON t.id = v.tariff_id WHERE u.quantity > 0"
        )
    )


def _unbooked(site):
    """Top-ups that no posted journal item books."""
    return site.rows(
        "SELECT e.key FROM energy_wallet_entry e WHERE e.kind = 'top_up' AND NOT EXISTS ("
        " SELECT 1 FROM account_move_line l"
        "  WHERE l.energy_entry_key = e.key AND l.parent_state = 'posted'"
        "  AND -l.balance = e.amount)"
    )


def _holder(site):
    return site.value(
        "SELECT max(lease_holder) FROM energy_gateway_status WHERE lease_until > energy_real_now()"
    )
