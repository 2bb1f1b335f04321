"""A month of 24 meters on real load curves, through server, connector and simulator."""

from datetime import timedelta

from simulator.load import curves, displayed, energy
from site_plan import ACCOUNTS, METERS, START
from tenancy import Tenancy
from fractions import Fraction
from decimal import Decimal

MONTH = timedelta(days=31, hours=6)


def test_a_month(run_site):
    with run_site("month") as site:
        site.start()
        tenancy = Tenancy(site)
        tenancy.begin()
        tenancy.live(MONTH)
