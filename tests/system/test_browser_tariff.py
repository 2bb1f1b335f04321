"""A tariff as people see it: the picture of its year, and a price typed into the table."""

import re

import pytest
from browser import PHONE, press
from playwright.sync_api import expect


def shops(site):
    """The page of the version that prices the demo's shops."""
    version = site.value(
        "SELECT v.id FROM energy_tariff_version v JOIN energy_tariff t ON t.id = v.tariff_id"
        " WHERE t.name->>'en_US' = %s",
        "Shops, time of use",
    )
    return f"energy-tariff-versions/{version}"


def state(page):
    return page.locator(".o_statusbar_status .o_arrow_button_current")


@pytest.mark.needs("chromium")
def test_prices_are_typed_beside_the_picture_and_submitted(demo, visit):
    page = visit("accountant", shops(demo))
    bars = page.locator(".o_energy_bar")
    expect(bars.first).to_be_visible()
    before = bars.count()
    assert before > 1, "seasons and kinds of day have bars of their own"
    bars.first.locator("button").first.click()
    expect(page.locator(".o_energy_telling")).to_contain_text(re.compile(r"00:00–\d\d:\d\d "))

    press(page, "New Version")
    expect(state(page)).to_have_text("Draft")
    expect(bars).to_have_count(before)
    page.get_by_role("tab", name="Prices", exact=True).click()
    price = page.locator(".o_energy_prices input").first
    price.fill("none")
    price.press("Enter")
    expect(page.locator(".o_notification")).to_contain_text("“none” is no price.")
    price.fill("1.5")
    price.press("Enter")
    expect(page.locator(".o_energy_gross").first).to_contain_text("1.50")
    expect(page.locator(".o_energy_legend")).to_contain_text("1.5 / kWh")
    press(page, "Submit")
    expect(state(page)).to_have_text("Submitted")
    expect(page.locator(".o_energy_prices input")).to_have_count(0)
    expect(page.locator(".o_energy_prices td").first).to_contain_text("1.50")


@pytest.mark.needs("chromium")
def test_the_picture_fits_a_phone(demo, visit):
    page = visit("accountant", shops(demo), size=PHONE)
    bar = page.locator(".o_energy_bar").first
    expect(bar).to_be_visible()
    box = bar.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    assert box["width"] > 300
