"""Every menu of every role opens: each view, filter and grouping of it reads without an error.

Asked for as the web client does, but without a browser.
"""

import ast
import re
from datetime import datetime
from xml.etree import ElementTree

import pytest
from web_client import Refused, WebClient

from tools import log_gate, odoo_command, processes
from tools.processes import Process

ROLES = ("accountant", "cashier", "operator", "engineer")
NUMBERS = ("integer", "float", "monetary")
WITH_RECORDS = ("list", "kanban", "form")


class Names(dict):
    """What a domain or a context of a view may name; the rest is false, as in a new form."""

    def __missing__(self, name):
        return False


class Screen:
    """One action of a menu, opened by one user."""

    def __init__(self, client: WebClient, action: dict, user_id: int) -> None:
        self.client = client
        self.model = action["res_model"]
        self.names = Names(uid=user_id, context_today=datetime.now, active_id=False)
        self.context = self.value(action["context"] or "{}")
        self.domain = self.value(action["domain"] or "[]")
        views = [*action["views"], [(action.get("search_view_id") or [False])[0], "search"]]
        views = [view for view in views if view[1] != "activity"]
        answer = self.call("get_views", views, {"toolbar": True, "action_id": action["id"]})
        self.models = answer["models"]
        self.fields = answer["models"][self.model]["fields"]
        self.views = {
            kind: ElementTree.fromstring(view["arch"]) for kind, view in answer["views"].items()
        }

    def value(self, text):
        """Return the value of a domain or a context as the web client computes it."""
        if not isinstance(text, str):
            return text
        try:
            return ast.literal_eval(text)
        except ValueError:
            return eval(text, {"__builtins__": {}}, self.names)

    def call(self, method, *arguments, **keywords):
        return self.client.call(
            self.model, method, *arguments, **keywords, context=dict(self.context)
        )

    def open(self):
        """Read what each view shows, then each filter and each grouping."""
        for kind, arch in self.views.items():
            if kind in WITH_RECORDS:
                self.read(arch, kind)
            elif kind in ("pivot", "graph"):
                self.group_as(arch, kind)
        for found in self.views["search"].iter("filter"):
            if found.get("domain"):
                self.call("search_count", self.domain + self.value(found.get("domain")))
            for group in self.groups_of(found):
                self.call("formatted_read_group", self.domain, [group], self.sums())
        for found in self.views["search"].iter("field"):
            self.call("search_count", self.domain + self.typed(found))

    def groups_of(self, found):
        if date := found.get("date"):
            return [f"{date}:month"]
        if not (text := found.get("context")):
            return []
        group = self.value(text).get("group_by", [])
        return [group] if isinstance(group, str) else group

    def sums(self):
        return ["__count"] + [
            f"{name}:{field['aggregator']}"
            for name, field in self.fields.items()
            if field["type"] in NUMBERS and field.get("aggregator") and field["store"]
        ]

    def typed(self, found):
        """Return the domain of a search field into which a user types "1"."""
        if text := found.get("filter_domain"):
            return eval(text, {"__builtins__": {}}, Names(self="1"))
        field = self.fields[found.get("name")]
        if field["type"] in ("selection", *NUMBERS):
            return []
        return [(found.get("name"), found.get("operator", "ilike"), "1")]

    def specification(self, element, model):
        """Return which fields a view shows, as `web_read` wants it, with its lists inside."""
        wanted = {}
        fields = self.models[model]["fields"]
        todo = list(element)
        while todo:
            node = todo.pop()
            name = node.get("name")
            if node.tag != "field" or name not in fields:
                todo += list(node)
                continue
            field, inside = fields[name], wanted.setdefault(name, {})
            if field["type"] == "many2one":
                inside["fields"] = {"display_name": {}}
            elif field["type"] in ("one2many", "many2many"):
                inside.setdefault("fields", {"display_name": {}})
                for view in node:
                    if field["relation"] in self.models:
                        inside["fields"] |= self.specification(view, field["relation"])
        return wanted

    def read(self, arch, kind):
        wanted = self.specification(arch, self.model)
        domain = self.domain
        if kind != "form":
            self.call("web_search_read", domain, wanted, limit=80)
            return
        if found := self.call("web_search_read", domain, {"id": {}}, limit=1)["records"]:
            self.call("web_read", [found[0]["id"]], wanted)
        if arch.get("create") not in ("0", "False", "false"):
            self.call("onchange", [], {}, [], wanted)

    def group_as(self, arch, kind):
        groups, measures = [], ["__count"]
        for node in arch.iter("field"):
            name = node.get("name")
            if node.get("type") == "measure":
                measures.append(f"{name}:{self.fields[name].get('aggregator') or 'sum'}")
            elif node.get("invisible") not in ("1", "True"):
                interval = node.get("interval")
                groups.append(f"{name}:{interval}" if interval else name)
        if kind == "pivot":
            sets = [groups[:count] for count in range(len(groups) + 1)]
            self.call("formatted_read_grouping_sets", self.domain, sets, measures)
        self.call("formatted_read_group", self.domain, groups, measures)


def menus_of(client):
    """Return pairs (path of names, action) of the application's menus that the user sees."""
    menus = client.call("ir.ui.menu", "load_web_menus", [], False)
    (root,) = (
        menu for menu in menus.values() if menu.get("xmlid") == "prepaid_energy.menu_energy_root"
    )

    def below(menu, path):
        path = f"{path} → {menu['name']}" if path else menu["name"]
        if menu.get("actionID") and not menu["children"]:
            yield path, menu["actionID"]
        for child in menu["children"]:
            yield from below(menus[str(child)], path)

    return list(below(root, ""))


def screens_that_fail(client):
    """Open every menu; return the errors by menu, and how many were opened."""
    user_id = client.session["uid"]
    failed, menus = {}, menus_of(client)
    for path, action_id in menus:
        try:
            action = client.action(action_id)
            if action["type"] == "ir.actions.act_window":
                Screen(client, action, user_id).open()
        except Refused as error:
            failed[path] = str(error)
    assert len({path for path, _action in menus}) == len(menus), "two menus have one name"
    return failed, len(menus)


@pytest.fixture(scope="module")
def server(demo_template, tmp_path_factory):
    """A web server on the demo's data, which nobody changes."""
    port = processes.free_port()
    address = f"http://127.0.0.1:{port}"
    process = Process(
        "server",
        odoo_command.command(
            *("-d", demo_template, f"--db-filter=^{re.escape(demo_template)}$"),
            *(f"--http-port={port}", "--max-cron-threads=0"),
        ),
        tmp_path_factory.mktemp("screens") / "server.log",
        env=odoo_command.environment(),
    )
    try:
        process.wait_until(lambda: processes.answers(f"{address}/web/health"))
        yield address, demo_template
    finally:
        process.stop()
    assert log_gate.complaints(process.text().splitlines()) == []


@pytest.mark.parametrize("role", ROLES)
def test_every_menu_opens(server, role):
    client = WebClient(*server, role)
    failed, count = screens_that_fail(client)
    assert failed == {}
    assert count > 30
