"""The life of an account as people see it: opening, counter, refund, closing, invoice.

On the demo's data, each person in a session of their own.
"""

import re
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from browser import PHONE, choose, field, press, type_in
from playwright.sync_api import expect

pytestmark = pytest.mark.needs("chromium")
# Demo data: the only vacant room, its meter, and the tariff of one price.
ROOM, METER, PRICE = "Shop 205", "DDS26000018", Decimal("0.558")
NEWCOMER = "Harbour Florist"
# Demo data: a shop with money left, and one whose supply is off.
SHOP, SHOP_METER = "Lotus Noodle House", "DDS26000009"
DARK, DARK_METER = "Blue Wave Hair", "DDS26000012"
RECEIPT = re.compile(r"R\d{4}-\d{6}")


def money(amount):
    return f"¥ {amount:,.2f}"


def state(page):
    return page.locator(".o_statusbar_status .o_arrow_button_current")


def balance(site, customer):
    return Decimal(
        site.value(
            "SELECT sum(w.balance)::text FROM energy_wallet w"
            "  JOIN energy_account a ON a.id = w.account_id"
            "  JOIN res_partner p ON p.id = a.partner_id WHERE p.name = %s",
            customer,
        )
    )


def entries(site, customer, *kinds):
    """The amounts of these kinds, in their order."""
    rows = site.rows(
        "SELECT e.amount::text FROM energy_wallet_entry e"
        "  JOIN energy_account a ON a.id = e.account_id"
        "  JOIN res_partner p ON p.id = a.partner_id"
        " WHERE p.name = %s AND e.kind = ANY(%s) ORDER BY e.id",
        customer,
        list(kinds),
    )
    return [Decimal(amount) for (amount,) in rows]


def is_booked(site):
    """Whether every payment in or out is in the books."""
    return not site.value(
        "SELECT count(*) FROM energy_wallet_entry e WHERE e.kind IN ('top_up', 'refund')"
        "   AND NOT EXISTS (SELECT 1 FROM account_move_line l JOIN account_move m"
        "       ON m.id = l.move_id AND m.state = 'posted' WHERE l.energy_entry_key = e.key)"
    )


def pay(counter, amount):
    """Type an amount at the counter and press Enter."""
    entry = field(counter, "amount").locator("input")
    entry.fill(amount)
    entry.press("Enter")


def scan(page, counter, serial):
    """A scanner types into the field that has the cursor, and ends with Enter."""
    expect(field(counter, "account_id").locator("input")).to_be_focused()
    page.keyboard.type(serial)
    page.keyboard.press("Enter")
    expect(field(counter, "amount").locator("input")).to_be_focused()


def open_account(page):
    """Fill in the form of a new account of the vacant room and open it.

    Return the opening register, as the form proposes it.
    """
    press(page, "New")
    choose(page, "room_ids", ROOM)
    expect(field(page, "site_id").locator("input")).to_have_value("Lakeside Mall")
    row = field(page, "supply_ids").locator("tr.o_data_row")
    expect(row).to_contain_text(METER)
    register = Decimal(row.locator("td[name=opening_register]").inner_text().replace(",", ""))
    choose(page, "partner_id", NEWCOMER, f'Create "{NEWCOMER}"')
    row.locator("td[name=tariff_id]").click()
    choose(row, "tariff_id", "Shared meter", "Shared meter, one price")
    choose(page, "credit_policy_id", "Shop")
    type_in(page, "opening_top_up", "300")
    field(page, "opening_deposit").locator("input").click()
    expect(field(page, "opening_method_id").locator("input")).to_have_value("Cash")
    press(page, "Open the Account")
    expect(state(page)).to_have_text("Active")
    return register


def go_back(page, name):
    page.locator(".o_control_panel .breadcrumb-item a", has_text=name).last.click()


def approve(page, amount):
    """Approve the newcomer's request that waits, as the second person."""
    rows = page.locator("tr.o_data_row", has_text=NEWCOMER)
    rows.filter(has_text="Waiting for Approval").locator("td[name=name]").click()
    expect(field(page, "amount")).to_have_text(money(amount))
    press(page, "Approve")
    expect(state(page)).to_have_text("Done")
    go_back(page, "Balance Requests")


def test_an_account_from_its_opening_to_its_closing(demo, visit):
    page = visit("operator", "energy-accounts")
    opening = open_account(page)
    expect(field(page, "balance").last).to_have_text(money(300))

    press(page, "Top-up")
    counter = page.get_by_role("dialog")
    expect(field(counter, "partner_id")).to_have_text(NEWCOMER)
    pay(counter, "50")
    expect(field(counter, "balance_after")).to_have_text(money(350))
    expect(field(counter, "receipt_name")).to_have_text(RECEIPT)
    press(counter, "Close")
    demo.step(demo.next_reading())
    used = -sum(entries(demo, NEWCOMER, "use"))
    assert balance(demo, NEWCOMER) == 350 - used

    # Money is paid back with a second person's approval.
    press(page, "Refund")
    type_in(page, "amount", "100")
    page.keyboard.press("Tab")
    expect(field(page, "balance")).to_have_text(money(350 - used))
    press(page, "Ask for Approval")
    expect(state(page)).to_have_text("Waiting for Approval")
    assert balance(demo, NEWCOMER) == 350 - used, "nothing is paid yet"
    accountant = visit("accountant", "energy-balance-requests")
    approve(accountant, 100)
    assert balance(demo, NEWCOMER) == 250 - used
    go_back(page, NEWCOMER)
    expect(field(page, "balance").last).to_have_text(money(250 - used))

    # The customer moves out between two readings: a person reads the meter.
    demo.step(demo.moment + timedelta(minutes=10))
    press(page, "Close Account")
    type_in(page, "reason", "Moves out")
    row = field(page, "line_ids").locator("tr.o_data_row")
    expect(row).to_contain_text(METER)
    closing = Decimal(demo.registers()[METER])
    assert closing > opening
    row.locator("td[name=register]").click()
    type_in(row, "register", str(closing))
    press(page, "Confirm")
    page.get_by_role("dialog").get_by_role("button", name="Ok").click()
    expect(state(page)).to_have_text("Done")
    charged = ((closing - opening) * PRICE).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert -sum(entries(demo, NEWCOMER, "use")) == charged
    left = 250 - charged
    assert balance(demo, NEWCOMER) == left

    # What is left is paid back in the same way.
    accountant.reload()
    approve(accountant, left)
    go_back(page, NEWCOMER)
    expect(state(page)).to_have_text("Closed")
    expect(field(page, "balance").last).to_have_text(money(0))
    assert entries(demo, NEWCOMER, "top_up", "refund") == [300, 50, -100, -left]

    # The closing has made the invoice, and the money ahead has paid it.
    accountant.goto(f"{demo.address}/odoo/energy-billing-periods")
    bill = accountant.locator("tr.o_data_row", has_text=NEWCOMER)
    bill.locator("td[name=date_from]").click()
    expect(state(accountant)).to_have_text("Invoiced")
    expect(field(accountant, "total")).to_have_text(money(charged))
    accountant.locator("button[name=action_open_invoice]").click()
    expect(accountant.locator(".o_form_view")).to_contain_text(NEWCOMER)
    demo.wait_until(lambda: is_booked(demo), "the books")
    assert demo.rows(
        "SELECT m.state, m.payment_state, m.amount_total::text FROM account_move m"
        "  JOIN res_partner p ON p.id = m.partner_id"
        " WHERE p.name = %s AND m.move_type = 'out_invoice'",
        NEWCOMER,
    ) == [("posted", "paid", str(charged))]


def test_the_counter(demo, visit):
    company = demo.value("SELECT company_id FROM energy_account LIMIT 1")
    demo.client("admin").call("res.company", "write", [company], {"energy_top_up_limit": 1000})
    before = balance(demo, SHOP)
    page = visit("cashier", "energy-rooms")
    press(page, "Sales")
    page.get_by_role("menuitem", name="Top-up").click()
    counter = page.get_by_role("dialog")
    scan(page, counter, SHOP_METER)
    expect(field(counter, "partner_id")).to_have_text(SHOP)
    pay(counter, "50")
    expect(field(counter, "balance_after")).to_have_text(money(before + 50))
    expect(field(counter, "receipt_name")).to_have_text(RECEIPT)
    receipt = field(counter, "receipt_name").inner_text()
    printed = page.frame_locator(".o_energy_print_frame").locator(
        "html[data-printed] .o_energy_receipt"
    )
    expect(printed).to_contain_text(receipt)
    expect(printed).not_to_contain_text("Copy No.")
    press(counter, "Print Receipt")
    expect(printed).to_contain_text("Copy No.")

    # The same again within two minutes.
    page.keyboard.press("Alt+q")
    scan(page, counter, SHOP_METER)
    pay(counter, "50")
    question = field(counter, "question")
    expect(question).to_contain_text("¥ 50.00 was taken for this account")
    assert balance(demo, SHOP) == before + 50
    page.keyboard.press("Enter")
    pay(counter, "50")
    press(counter, "Take It Anyway")
    expect(field(counter, "balance_after")).to_have_text(money(before + 100))
    expect(field(counter, "receipt_name")).not_to_have_text(receipt)

    # More than anybody takes without being asked.
    page.keyboard.press("Enter")
    scan(page, counter, SHOP_METER)
    pay(counter, "5000")
    expect(question).to_contain_text("¥ 5,000.00 is more than the ¥ 1,000.00")
    page.keyboard.press("Enter")
    pay(counter, "500")
    expect(field(counter, "balance_after")).to_have_text(money(before + 600))
    press(counter, "Close")
    assert entries(demo, SHOP, "top_up")[-3:] == [50, 50, 500]
    prints = "SELECT print_count FROM energy_receipt ORDER BY id DESC LIMIT 3"
    # The third may still be at the printer.
    demo.wait_until(lambda: demo.rows(prints)[0] == (1,), "the last receipt is printed")
    assert [count for (count,) in demo.rows(prints)] == [1, 1, 2], "one copy, of the first"


def test_the_counter_says_that_supply_stays_off(demo, visit):
    debt = -balance(demo, DARK)
    assert debt > 0
    page = visit("cashier", "energy-rooms")
    press(page, "Sales")
    page.get_by_role("menuitem", name="Top-up").click()
    counter = page.get_by_role("dialog")
    scan(page, counter, DARK_METER)
    expect(field(counter, "debt")).to_have_text(money(debt))
    # Which sentence it is depends on whether a reading came since supply went off.
    expect(field(counter, "supply_note")).to_contain_text(
        re.compile("more brings (it|supply) back")
    )
    pay(counter, "1")
    expect(field(counter, "question")).to_contain_text("Supply stays off")
    press(counter, "Take It Anyway")
    expect(field(counter, "balance_after")).to_have_text(money(1 - debt))
    expect(counter.get_by_role("status")).to_contain_text("Supply is off for arrears")
    assert demo.relays()[DARK_METER] == "off"


def test_the_counter_on_a_phone(demo, visit):
    before = balance(demo, SHOP)
    page = visit("operator", "energy-accounts", PHONE)
    page.locator(".o_kanban_record", has_text=SHOP).click()
    expect(page.locator(".o_form_view")).to_contain_text(SHOP)
    press(page, "Top-up")
    counter = page.get_by_role("dialog")
    expect(field(counter, "partner_id")).to_have_text(SHOP)
    pay(counter, "80")
    expect(field(counter, "balance_after")).to_have_text(money(before + 80))
    expect(field(counter, "receipt_name")).to_have_text(RECEIPT)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    press(counter, "Close")
    assert balance(demo, SHOP) == before + 80
