from datetime import timedelta
from itertools import pairwise

from markupsafe import Markup
from odoo import _, api, fields, models
from odoo.tools import SQL, format_datetime

WIDTH, HEIGHT = 640, 120
BEFORE = timedelta(hours=6)
MOST_POINTS = 400


class EnergyMeterFinding(models.Model):
    """The curve of what flowed around an off that does not hold."""

    _inherit = "energy.meter.finding"

    curve = fields.Html(string="Flow Since the Off", compute="_compute_curve", sanitize=False)

    @api.depends("kind", "since", "meter_id")
    def _compute_curve(self):
        for finding in self:
            finding.curve = finding.kind == "flowing" and finding._drawn(finding._flow())

    def _flow(self):
        """Return the average flow between readings from before the off on.

        :return: list of (moment from, moment until, kW or m³/h)
        """
        rows = self.env.execute_query(
            SQL(
                """
            SELECT moment, total FROM energy_reading_data
             WHERE meter_id = %s AND moment >= %s AND state IN ('accepted', 'held')
               AND source <> 'estimate'
             ORDER BY moment DESC LIMIT %s
            """,
                self.meter_id.id,
                self.since - BEFORE,
                MOST_POINTS,
            )
        )
        rows.reverse()
        return [
            (start, end, float(last - first) / ((end - start).total_seconds() / 3600))
            for (start, first), (end, last) in pairwise(rows)
        ]

    def _drawn(self, flow):
        """Return the curve as a drawing, with the moment of the off as a line."""
        if not flow:
            return Markup("<p class='text-muted'>%s</p>") % _("No readings yet.")
        first, last = min(flow[0][0], self.since), max(flow[-1][1], self.since)
        span = max((last - first).total_seconds(), 1)
        most = max(max(value for _start, _end, value in flow), 0.001)

        def across(moment):
            return round((moment - first).total_seconds() / span * WIDTH, 1)

        bars = Markup("").join(
            Markup('<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>')
            % (
                across(start),
                round(HEIGHT * (1 - max(value, 0) / most), 1),
                max(across(end) - across(start) - 0.5, 0.5),
                round(HEIGHT * max(value, 0) / most, 1),
                "#d9534f" if end > self.since else "#adb5bd",
            )
            for start, end, value in flow
        )
        unit = "kW" if self.meter_id.commodity == "electricity" else "m³/h"
        return Markup(
            '<svg viewBox="0 0 %(w)s %(h)s" style="width:100%%" role="img" aria-label="%(label)s">'
            '%(bars)s<line x1="%(x)s" x2="%(x)s" y1="0" y2="%(h)s" stroke="#212529"'
            ' stroke-dasharray="4 3"/></svg>'
            '<div class="d-flex text-muted"><span>%(from)s</span>'
            '<span class="ms-auto">%(to)s</span></div><div>%(label)s</div>'
        ) % {
            "w": WIDTH,
            "h": HEIGHT,
            "bars": bars,
            "x": across(self.since),
            "label": _(
                "Off at %(moment)s; highest %(most)s %(unit)s",
                moment=format_datetime(self.env, self.since, dt_format="short"),
                most=f"{most:.3g}",
                unit=unit,
            ),
            "from": format_datetime(self.env, first, dt_format="short"),
            "to": format_datetime(self.env, last, dt_format="short"),
        }

    def action_open_readings(self):
        """Open the readings of the meter since shortly before the finding, as a graph."""
        self.ensure_one()
        action = self.meter_id.action_open_readings()
        return dict(
            action,
            domain=[("meter_id", "=", self.meter_id.id), ("moment", ">=", self.since - BEFORE)],
            views=[(False, "graph"), (False, "list"), (False, "form")],
            view_mode="graph,list,form",
        )

    def action_open_commands(self):
        """Open the commands of these meters."""
        return self.meter_id.action_open_commands()
