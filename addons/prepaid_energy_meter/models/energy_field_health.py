from odoo import api, fields, models
from odoo.addons.prepaid_energy.bulk import values
from odoo.tools import SQL

from ..modbus.tally import NAMES

FAILURES = tuple(name for name in NAMES if name not in ("good", "latency", "longest"))


class EnergyFieldHealth(models.AbstractModel):
    """How readings went during a stretch of time: counts by kind of failure, and latency.

    The connector adds to the present row every minute, many rows in one statement.
    """

    _name = "energy.field.health"
    _description = "Health of what is read"
    _log_access = False
    _allow_sudo_commands = False

    site_id = fields.Many2one(
        "energy.property", required=True, readonly=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="cascade")
    good = fields.Integer(string="Good Reads", readonly=True)
    bad = fields.Integer(string="Failed Reads", readonly=True)
    good_share = fields.Float(
        string="Share of Good Reads (%)", digits=(5, 2), readonly=True, aggregator="avg"
    )
    latency_ms = fields.Float(
        string="Answers After (ms)",
        digits=(10, 1),
        readonly=True,
        aggregator="avg",
        help="Milliseconds from a request to its answer, the mean over the good reads.",
    )
    longest_ms = fields.Float(
        string="Longest Answer (ms)", digits=(10, 1), readonly=True, aggregator="max"
    )
    timeouts = fields.Integer(
        string="Time-outs", readonly=True, help="No answer in time, or the connection broke."
    )
    target_silent = fields.Integer(
        string="Silent behind the Gateway",
        readonly=True,
        help="The gateway itself says that the meter does not answer it.",
    )
    busy = fields.Integer(readonly=True, help="The device asked for patience.")
    refused = fields.Integer(
        readonly=True, help="Other exception codes: the device does not know the request."
    )
    wrong = fields.Integer(
        string="Wrong Answers", readonly=True, help="Bytes that are no answer to the request."
    )
    unreadable = fields.Integer(
        readonly=True, help="Registers that hold no value of the profile's type."
    )
    unreachable = fields.Integer(readonly=True, help="No connection to the gateway.")
    wrong_meter = fields.Integer(
        readonly=True, help="Another serial number than that of the plate answered."
    )
    latency_sum = fields.Float(
        string="Answers After, Sum (ms)", digits=(16, 1), readonly=True, aggregator=None
    )

    def _read_group_select(self, aggregate_spec, query):
        """Override: shares and means of many rows weigh each read, not each row, the same."""
        good, bad, latency = (
            self._field_to_sql(self._table, name, query) for name in ("good", "bad", "latency_sum")
        )
        if aggregate_spec == "good_share:avg":
            return SQL(
                "100.0 * SUM(%(good)s) / NULLIF(SUM(%(good)s) + SUM(%(bad)s), 0)",
                good=good,
                bad=bad,
            )
        if aggregate_spec == "latency_ms:avg":
            return SQL("SUM(%(latency)s) / NULLIF(SUM(%(good)s), 0)", latency=latency, good=good)
        return super()._read_group_select(aggregate_spec, query)

    @api.model
    def _add_rows(self, target, period, rows, source):
        """Add counts to the rows of the present period.

        :param str target: column of the gateway or meter
        :param SQL period: column of the period, and its present value
        :param list rows: (id, then the fields of a Tally)
        :param SQL source: whence site, company and time zone come, as `t`, by `v.id`
        """
        if not rows:
            return
        table = SQL.identifier(self._table)
        column, present = period
        extra = SQL(", gateway_id") if target == "meter_id" else SQL()
        extra_value = SQL(", t.gateway_id") if target == "meter_id" else SQL()
        counted = SQL(", ").join(
            SQL("%(name)s = h.%(name)s + excluded.%(name)s", name=SQL.identifier(name))
            for name in ("good", "bad", "latency_sum", *FAILURES)
        )
        types = dict.fromkeys(NAMES, "int") | {"latency": "numeric", "longest": "numeric"}
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO %(table)s AS h (%(target)s, %(column)s, site_id, company_id%(extra)s,
                   %(failures)s, good, bad, latency_sum, longest_ms, good_share, latency_ms)
            SELECT v.id, %(present)s, t.site_id, t.company_id%(extra_value)s, %(failures)s, v.good,
                   b.bad, v.latency, v.longest, 100.0 * v.good / NULLIF(v.good + b.bad, 0),
                   v.latency / NULLIF(v.good, 0)
              FROM %(values)s
              CROSS JOIN LATERAL (SELECT %(sum)s AS bad) b
              JOIN %(source)s
                ON CONFLICT (%(target)s, %(column)s) DO UPDATE
               SET %(counted)s, longest_ms = GREATEST(h.longest_ms, excluded.longest_ms),
                   good_share = 100.0 * (h.good + excluded.good)
                                / NULLIF(h.good + h.bad + excluded.good + excluded.bad, 0),
                   latency_ms = (h.latency_sum + excluded.latency_sum)
                                / NULLIF(h.good + excluded.good, 0)
            """,
                table=table,
                target=SQL.identifier(target),
                column=column,
                present=present,
                extra=extra,
                extra_value=extra_value,
                failures=SQL(", ").join(map(SQL.identifier, FAILURES)),
                sum=SQL(" + ").join(SQL.identifier("v", name) for name in FAILURES),
                values=values(rows, id="int", **types),
                source=source,
                counted=counted,
            )
        )
        self.invalidate_model(flush=False)

    @api.model
    def _prune_before(self, column, moment):
        self.env.cr.execute(
            SQL(
                "DELETE FROM %s WHERE %s < %s",
                SQL.identifier(self._table),
                SQL.identifier(column),
                moment,
            )
        )
        self.invalidate_model(flush=False)
