"""A Modbus TCP site of many meters in one process, for the command line, tests, demo and Docker.

Imports nothing of Odoo. Its register layouts are written from the vendors' facts and not from the
profiles, so that a mistake in a profile shows.
"""
