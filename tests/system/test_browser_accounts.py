"""The life of an account as people see it: opening, counter, refund, closing, invoice.

On the demo's data, each person in a session of their own.
"""

import os
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from browser import PHONE, choose, field, press, type_in
from conftest import findings
from playwright.sync_api import expect

pytestmark = pytest.mark.needs("chromium")
# Demo data: the only vacant room and its meter; "Shared meter, one price".
ROOM, METER, PRICE = "Shop 205", "DDS26000018", Decimal("0.558")
CUSTOMER = "Harbour Florist"
CENT = Decimal("0.01")


def number(text):
    return Decimal(re.sub(r"[^\d.-]", "", text))


def look(page, name):
    folder = os.environ.get("LOOK")
    if folder:
        size = page.viewport_size
        for size in ({"width": 1440, "height": 900}, {"width": 390, "height": 844}):
            page.set_viewport_size(size)
            page.wait_for_timeout(900)
            page.screenshot(path=f"{folder}/{name}_{size['width']}.png")
        page.set_viewport_size(page.original)
        page.wait_for_timeout(500)


def open_account(page):
    """Fill in the form of a new account of the vacant room, and open it; return its number."""
    press(page, "New")
    choose(page, "room_ids", ROOM)
    expect(field(page, "site_id").locator("input")).to_have_value("Lakeside Mall")
    row = field(page, "supply_ids").locator("tr.o_data_row")
    expect(row).to_contain_text(METER)
    look(page, "new1")
    choose(page, "partner_id", CUSTOMER, f'Create "{CUSTOMER}"')
    row.locator("td[name=tariff_id]").click()
    choose(row, "tariff_id", "Shared meter", "Shared meter, one price")
    choose(page, "credit_policy_id", "Shop")
    type_in(page, "opening_top_up", "300")
    field(page, "opening_deposit").locator("input").click()
    look(page, "new2")
    press(page, "Open the Account")
    expect(page.locator(".o_arrow_button_current")).to_have_text("Active")
    look(page, "opened")


def test_an_account_from_its_opening_to_its_closing(demo, visit):
    page = visit("operator", "energy-accounts")
    page.original = page.viewport_size
    open_account(page)
