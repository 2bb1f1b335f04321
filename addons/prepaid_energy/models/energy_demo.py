import json
from datetime import timedelta
from decimal import Decimal

from odoo import Command, api, models
from odoo.tools import file_open

from .. import clock
from ..local_time import local_date, local_midnight
from .energy_clock import ADJUSTABLE

DAYS = 31


class EnergyDemo(models.AbstractModel):
    """Makes the demo data, by the same methods that people and meters use."""

    _name = "energy.demo"
    _description = "Demo data"

    @api.model
    def _company(self):
        return self.env.ref("prepaid_energy.company_demo")

    @api.model
    def _load_books(self):
        """A chart of accounts, a cash and a bank journal, the advances account."""
        company = self._company()
        # Not `try_loading`: it would add demo invoices, or warn that modules are still loading.
        self.env["account.chart.template"]._load("generic_coa", company, install_demo=False)
        company.currency_id = self.env.ref("base.CNY")
        self._load_tax(company)
        self.env["account.journal"].create(
            {"name": "Counter cash", "type": "cash", "code": "CASH", "company_id": company.id}
        )
        company._energy_set_up_books()
        self.env["ir.config_parameter"].set_param(ADJUSTABLE, "1")

    def _load_tax(self, company):
        """China's VAT of 13 %, in the price, on what is sold to customers at home."""
        country = company.country_id
        company.account_fiscal_country_id = country
        self.env["account.fiscal.position"].search(
            [("company_id", "=", company.id), ("country_id", "!=", False)]
        ).country_id = country
        tax = self.env["account.tax"].create(
            {
                "name": "VAT 13% incl.",
                "amount": 13,
                "type_tax_use": "sale",
                "price_include_override": "tax_included",
                "country_id": country.id,
                "company_id": company.id,
                "tax_group_id": self.env["account.tax.group"]
                .create({"name": "VAT 13%", "company_id": company.id, "country_id": country.id})
                .id,
            }
        )
        company.account_sale_tax_id = tax
        products = self.env["energy.billing.product"].search([("company_id", "=", company.id)])
        products.product_id.taxes_id = tax

    @api.model
    def _rooms(self):
        with file_open("prepaid_energy/demo/rooms.json") as source:
            return json.load(source)

    @api.model
    def _load_rooms(self):
        """Rooms with their meters, and accounts opened a month ago with a first top-up."""
        self = self.with_company(self._company())
        start = self._start()
        self.env["energy.clock"]._set(start, 0)
        for room in self._rooms():
            place = self._place(room)
            meters = self.env["energy.meter"].create(
                [
                    {
                        "name": meter["serial"],
                        "commodity": meter["commodity"],
                        "property_id": place.id,
                        "max_power": meter["max_power"],
                        "is_protected": room.get("protected", False),
                    }
                    for meter in room["meters"]
                ]
            )
            if room["tenant"]:
                self._open_account(room, place, meters, start)
        self.env.cr.execute("DELETE FROM energy_clock")

    @api.model
    def _start(self):
        """Return the local midnight of the demo's first day."""
        zone = self.env.ref("prepaid_energy.site_gardens")._zone()
        today = local_date(clock.now(self.env.cr), zone)
        return local_midnight(today - timedelta(days=DAYS), zone)

    def _place(self, room):
        parent = self.env.ref(f"prepaid_energy.{room['site']}")
        for kind in ("building", "floor", "room"):
            place = self.env["energy.property"].search(
                [("name", "=", room[kind]), ("parent_id", "=", parent.id)]
            )
            parent = place or self.env["energy.property"].create(
                {
                    "name": room[kind],
                    "kind": kind,
                    "parent_id": parent.id,
                    "company_id": parent.company_id.id,
                    **(
                        {"use": room["use"], "area": room["area"], "code": room[kind].split()[-1]}
                        if kind == "room"
                        else {}
                    ),
                }
            )
        return parent

    def _open_account(self, room, place, meters, start):
        partner = (
            self.env.ref(f"prepaid_energy.{room['partner']}")
            if room.get("partner")
            else self.env["res.partner"].create(
                {
                    "name": room["tenant"],
                    "country_id": self.env.ref("base.cn").id,
                    "is_company": room["use"] == "shop",
                }
            )
        )
        account = self.env["energy.account"].create(
            {
                "partner_id": partner.id,
                "company_id": place.company_id.id,
                "site_id": place.site_id.id,
                "room_ids": [Command.set(place.ids)],
                "payment_mode": room.get("payment_mode", "prepaid"),
                "contact_ids": [
                    Command.create(
                        {
                            "name": name,
                            "function": function,
                            "phone": phone,
                            "parent_id": partner.id if partner.is_company else False,
                        }
                    )
                    for name, function, phone in room.get("contacts", ())
                ],
                "credit_policy_id": self.env.ref(f"prepaid_energy.{room['policy']}").id,
                "supply_ids": [
                    Command.create(
                        {
                            "meter_id": meter.id,
                            "start_at": start,
                            "multiplier": 1,
                            "opening_register": float(values["register"]),
                            "tariff_id": self.env.ref(f"prepaid_energy.{values['tariff']}").id,
                        }
                    )
                    for meter, values in zip(meters, room["meters"], strict=True)
                ],
            }
        )
        account.action_activate()
        if room["top_up"]:
            self._top_up(account, Decimal(room["top_up"]), "opening")

    def _top_up(self, account, amount, occasion):
        wallet = account.wallet_ids
        method = self.env["energy.payment.method"].search(
            [("company_id", "=", account.company_id.id), ("kind", "=", "cash")], limit=1
        )
        wallet._top_up(float(amount), f"demo/{account.name}/{occasion}", method)
