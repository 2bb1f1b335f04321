"""What installing and uninstalling does beyond the models' own tables."""

SQL_LEFT_BEHIND = """
    DROP TABLE IF EXISTS energy_reading_data CASCADE;
    DROP SEQUENCE IF EXISTS energy_reading_id_seq;
    DROP FUNCTION IF EXISTS energy_reading_refuse_change() CASCADE;
    DROP TABLE IF EXISTS energy_settlement_queue;
    DROP FUNCTION IF EXISTS energy_entry_refuse_change() CASCADE;
    DROP TABLE IF EXISTS energy_entry_day_mark;
    DROP TABLE IF EXISTS energy_task_done;
    DROP TABLE IF EXISTS energy_checker_mark;
    DROP TABLE IF EXISTS energy_checker_supply;
    DROP FUNCTION IF EXISTS energy_shift_use() CASCADE;
    DROP FUNCTION IF EXISTS energy_receipt_refuse_change() CASCADE;
    DROP FUNCTION IF EXISTS energy_command_notify() CASCADE;
    DROP FUNCTION IF EXISTS energy_command_refuse_change() CASCADE;
    DROP FUNCTION IF EXISTS energy_attempt_refuse_change() CASCADE;
    DROP FUNCTION IF EXISTS energy_clock_notify() CASCADE;
    DROP FUNCTION IF EXISTS energy_reading_partition(date);
    DROP FUNCTION IF EXISTS energy_now() CASCADE;
    DROP FUNCTION IF EXISTS energy_real_now() CASCADE;
"""


def post_init_hook(env):
    """Set up the books of every company that already has a chart of accounts."""
    for company in env["res.company"].search([("chart_template", "!=", False)]):
        company._energy_set_up_books()


def uninstall_hook(env):
    """Drop the database objects that the ORM does not know of."""
    env.cr.execute(SQL_LEFT_BEHIND)
    env["ir.config_parameter"].search([("key", "=like", "prepaid_energy.%")]).unlink()
    # Odoo forgets the rows in which it keeps the foreign keys of a module.
    env["ir.model.constraint"].search(
        [("module.name", "=", "prepaid_energy"), ("type", "=", "f")]
    ).unlink()
