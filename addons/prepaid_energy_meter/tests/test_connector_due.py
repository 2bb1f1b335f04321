from datetime import datetime
from zoneinfo import ZoneInfo

from odoo.tests import BaseCase, tagged

from ..connector.due import DueMeter, Schedule, aligned

SHANGHAI, LONDON, KATHMANDU = map(ZoneInfo, ("Asia/Shanghai", "Europe/London", "Asia/Kathmandu"))


@tagged("post_install", "-at_install")
class TestConnectorDue(BaseCase):
    def test_moments_are_multiples_from_local_midnight(self):
        for zone, interval, now, expected in (
            (SHANGHAI, 30, "2026-03-01 10:29:59", "2026-03-01 10:00:00"),
            (SHANGHAI, 30, "2026-03-01 10:30:00", "2026-03-01 10:30:00"),
            # 16:00 UTC is midnight in Shanghai.
            (SHANGHAI, 1440, "2026-03-01 15:59:59", "2026-02-28 16:00:00"),
            (SHANGHAI, 1440, "2026-03-01 16:00:00", "2026-03-01 16:00:00"),
            # Kathmandu is 5:45 ahead: its full hours are quarters past in UTC.
            (KATHMANDU, 60, "2026-03-01 10:14:59", "2026-03-01 09:15:00"),
            (KATHMANDU, 60, "2026-03-01 10:15:00", "2026-03-01 10:15:00"),
            # 7 minutes do not divide a day: counting starts again at midnight.
            (SHANGHAI, 7, "2026-03-01 15:59:30", "2026-03-01 15:55:00"),
            # The hour from 01:00 comes twice in London on 2026-10-25.
            (LONDON, 30, "2026-10-25 00:40:00", "2026-10-25 00:30:00"),
            (LONDON, 30, "2026-10-25 01:10:00", "2026-10-25 01:00:00"),
        ):
            with self.subTest(zone=zone, interval=interval, now=now):
                self.assertEqual(
                    aligned(datetime.fromisoformat(now), zone, interval),
                    datetime.fromisoformat(expected),
                )

    def schedule(self, read_at):
        schedule = Schedule()
        schedule.set_meters([DueMeter(1, SHANGHAI, 30, read_at)])
        return schedule

    def test_meter_is_due_once_a_moment(self):
        schedule = self.schedule(datetime(2026, 3, 1, 9, 30))
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 0)), [1])
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 29)), [])
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 30)), [1])

    def test_missed_moments_are_not_made_up_for(self):
        schedule = self.schedule(datetime(2026, 2, 1, 0, 0))
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 5)), [1])
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 6)), [])

    def test_meter_read_since_is_not_due(self):
        schedule = self.schedule(datetime(2026, 3, 1, 10, 0, 5))
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 10)), [])

    def test_reading_at_the_moment_itself_counts(self):
        schedule = self.schedule(datetime(2026, 3, 1, 10, 0))
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 10)), [])

    def test_meter_never_read_is_due(self):
        self.assertEqual(self.schedule(None).due(datetime(2026, 3, 1, 10, 10)), [1])

    def test_loading_anew_does_not_ask_again(self):
        schedule = self.schedule(datetime(2026, 3, 1, 9, 30))
        schedule.due(datetime(2026, 3, 1, 10, 0))
        schedule.set_meters([DueMeter(1, SHANGHAI, 30, datetime(2026, 3, 1, 9, 30))])
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 1)), [])
        schedule.forget([1])
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 1)), [1])

    def test_clock_set_back_does_not_stop_reading(self):
        schedule = self.schedule(datetime(2026, 3, 5, 0, 0))
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 10, 0)), [1])
