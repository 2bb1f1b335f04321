"""Which database this is: a copy or a restored backup is another one and writes to no meter."""


def database_identity(cr) -> str:
    """Return a text that differs between a database and its copies and restores.

    PostgreSQL's system identifier tells clusters apart, the object id databases of a cluster
    (a copy of a template), the timeline a point-in-time recovery, Odoo's own uuid a database
    that was put back under Odoo's control. A byte-for-byte clone of the whole cluster keeps
    all four.

    :param cr: an open database cursor
    """
    cr.execute(
        """
        SELECT (SELECT system_identifier FROM pg_control_system())::text
               || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
               || '/' || (SELECT timeline_id FROM pg_control_checkpoint())
               || '/' || COALESCE((SELECT value FROM ir_config_parameter
                                    WHERE key = 'database.uuid'), '')
        """
    )
    return cr.fetchone()[0]
