"""The project clock of the database, followed without asking it at every reading."""

from datetime import datetime, timedelta

from odoo.addons.prepaid_energy.clock import monotonic


class ProjectClock:
    """Project moments between two looks at the database's clock.

    It never runs ahead of the database: what the look itself takes is counted as passed before.
    """

    def __init__(self):
        self.speed = 1.0
        self._moment: datetime | None = None
        self._at = 0.0

    def set(self, moment: datetime, speed: float):
        """Take over what :func:`look` returned just now."""
        self._moment, self.speed, self._at = moment, speed, monotonic()

    def now(self) -> datetime:
        """Return the project moment, naive UTC, whole seconds."""
        passed = timedelta(seconds=(monotonic() - self._at) * self.speed)
        return (self._moment + passed).replace(microsecond=0)


def look(env):
    """Return the project moment and the speed of the database's clock."""
    env.cr.execute(
        """
        SELECT COALESCE(c.project_anchor
                        + (energy_real_now() - c.real_anchor) * c.speed::double precision,
                        energy_real_now()),
               COALESCE(c.speed, 1)::double precision
          FROM (SELECT 1) AS one LEFT JOIN energy_clock c ON TRUE LIMIT 1
        """
    )
    return env.cr.fetchone()
