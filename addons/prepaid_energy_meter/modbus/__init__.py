"""Reading and switching meters over Modbus: values in, values out, nothing of Odoo."""
