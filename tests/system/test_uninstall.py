"""Uninstalling both add-ons, after they were used, leaves nothing behind."""

import re
import subprocess
from contextlib import closing

from tools import databases, folders, log_gate, odoo_command, postgres

# What the database is made of, and what of Odoo's own records belongs to modules.
CATALOGUES = {
    "relations": """
        SELECT c.relkind, c.relname FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace""",
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
         WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace""",
    "functions": """
        SELECT oid::regprocedure::text FROM pg_proc
         WHERE pronamespace = 'public'::regnamespace""",
    "triggers": "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal",
    "types": """
        SELECT typname FROM pg_type t WHERE typnamespace = 'public'::regnamespace
           AND typtype IN ('e', 'd')""",
    "models": "SELECT model FROM ir_model",
    "fields": "SELECT model, name FROM ir_model_fields",
    "constraint records": "SELECT name FROM ir_model_constraint",
    "relation records": "SELECT name FROM ir_model_relation",
    "external ids": "SELECT module, name, model FROM ir_model_data WHERE module LIKE 'prepaid%'",
    "parameters": "SELECT key FROM ir_config_parameter WHERE key <> 'database.is_neutralized'",
    "groups": "SELECT name ->> 'en_US' FROM res_groups",
    "privileges": "SELECT name ->> 'en_US' FROM res_groups_privilege",
    "module categories": "SELECT name ->> 'en_US' FROM ir_module_category",
    "scheduled actions": "SELECT cron_name FROM ir_cron",
    "server actions": "SELECT name ->> 'en_US' FROM ir_act_server",
    "window actions": "SELECT name ->> 'en_US', res_model FROM ir_act_window",
    "menus": "SELECT name ->> 'en_US' FROM ir_ui_menu",
    "views": "SELECT name, model FROM ir_ui_view",
    "access rights": "SELECT name FROM ir_model_access",
    "record rules": "SELECT name FROM ir_rule",
    "sequences": "SELECT name, code FROM ir_sequence WHERE code LIKE 'energy%'",
    "messages": "SELECT model, count(*) FROM mail_message WHERE model LIKE 'energy%' GROUP BY 1",
    "followers": "SELECT res_model FROM mail_followers WHERE res_model LIKE 'energy%'",
    "activities": "SELECT res_model FROM mail_activity WHERE res_model LIKE 'energy%'",
    "attachments": "SELECT res_model FROM ir_attachment WHERE res_model LIKE 'energy%'",
    "filters": "SELECT name FROM ir_filters WHERE model_id LIKE 'energy%'",
    "defaults": """
        SELECT f.model, f.name FROM ir_default d JOIN ir_model_fields f ON f.id = d.field_id""",
}  # fmt: skip
# Odoo makes these for records of its own that the used database has more of.
OF_RECORDS = re.compile(r"^ir_sequence_\d+")


# A bus was probed and a meter's clock set, in vain: only the meter add-on knows these orders.
COMMANDS = """
    WITH ordered AS (
        INSERT INTO energy_command (gateway_id, meter_id, number, kind, state, cause, origin, tries,
                                    site_id, company_id, user_id, created_at, done_at)
        SELECT gateway_id, meter_id, 1000, kind, 'failed', 'person', 'test', 1, site_id, company_id,
               1, now(), now()
          FROM (SELECT id AS gateway_id, NULL::integer AS meter_id, 'probe' AS kind, site_id,
                       company_id FROM energy_gateway
                UNION ALL
                SELECT NULL, id, 'clock', site_id, company_id FROM energy_meter) o
        RETURNING id, site_id, company_id)
    INSERT INTO energy_command_attempt (command_id, number, holder, outcome, moment, site_id,
                                        company_id)
    SELECT id, 1, 'test', 'failed', now(), site_id, company_id FROM ordered
"""


def catalogue(database: str) -> dict[str, set]:
    found = {}
    with closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        for name, query in CATALOGUES.items():
            cursor.execute(query)
            found[name] = {
                row for row in cursor.fetchall() if not any(OF_RECORDS.match(str(v)) for v in row)
            }
        # A sequence in the database for each of Odoo's records of that kind, and no more.
        cursor.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relkind = 'S' AND c.relname ~ %s"
            "   AND NOT EXISTS (SELECT 1 FROM ir_sequence s"
            "                    WHERE c.relname ~ ('^ir_sequence_0*' || s.id || '(_|$)'))",
            [OF_RECORDS.pattern],
        )
        found["orphaned sequences"] = set(cursor.fetchall())
    return found


def test_uninstalling_leaves_nothing_behind(site_template, fresh_database):
    before = catalogue(fresh_database(databases.TEMPLATE, "energy_system_before"))
    database = fresh_database(site_template, "energy_system_uninstalled")
    used = catalogue(database)
    assert ("energy.meter",) in used["models"], "the add-ons are there to be uninstalled"
    with closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(COMMANDS)
        assert cursor.rowcount > 0

    for module in reversed(folders.OUR_ADDONS):
        done = subprocess.run(
            odoo_command.command("module", "uninstall", "-d", database, module),
            env=odoo_command.environment(),
            cwd=folders.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert log_gate.complaints(done.stderr.splitlines()) == []

    after = catalogue(database)
    left = {name: sorted(after[name] - before[name], key=str) for name in after}
    gone = {name: sorted(before[name] - after[name], key=str) for name in before}
    assert {name: rows for name, rows in left.items() if rows} == {}
    assert {name: rows for name, rows in gone.items() if rows} == {}
