from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from odoo.tests import BaseCase, tagged

from ..connector.due import DueMeter, Schedule, aligned, begins_day

SHANGHAI, LONDON, KATHMANDU = map(ZoneInfo, ("Asia/Shanghai", "Europe/London", "Asia/Kathmandu"))

# Santiago's clock leaps from 24:00 to 1:00; Havana's day 2026-11-01 begins twice.
SANTIAGO, HAVANA = ZoneInfo("America/Santiago"), ZoneInfo("America/Havana")


def due(schedule, now):
    """Return all meters that have become due."""
    at_midnight, others = schedule.due(now)
    return at_midnight + others


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
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 0)), [1])
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 29)), [])
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 30)), [1])

    def test_missed_moments_are_not_made_up_for(self):
        schedule = self.schedule(datetime(2026, 2, 1, 0, 0))
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 5)), [1])
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 6)), [])

    def test_meter_read_since_is_not_due(self):
        schedule = self.schedule(datetime(2026, 3, 1, 10, 0, 5))
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 10)), [])

    def test_reading_at_the_moment_itself_counts(self):
        schedule = self.schedule(datetime(2026, 3, 1, 10, 0))
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 10)), [])

    def test_meter_never_read_is_due(self):
        self.assertEqual(due(self.schedule(None), datetime(2026, 3, 1, 10, 10)), [1])

    def test_loading_anew_does_not_ask_again(self):
        schedule = self.schedule(datetime(2026, 3, 1, 9, 30))
        due(schedule, datetime(2026, 3, 1, 10, 0))
        schedule.set_meters([DueMeter(1, SHANGHAI, 30, datetime(2026, 3, 1, 9, 30))])
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 1)), [])
        schedule.forget([1])
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 1)), [1])

    def test_clock_set_back_does_not_stop_reading(self):
        schedule = self.schedule(datetime(2026, 3, 5, 0, 0))
        self.assertEqual(due(schedule, datetime(2026, 3, 1, 10, 0)), [1])

    def test_every_day_is_begun_with_a_reading(self):
        """Whatever the interval, and also where the clock changes: every local day of a year, and
        so every month, has a reading at its first moment."""
        for zone in (SHANGHAI, LONDON, KATHMANDU, SANTIAGO, HAVANA):
            for interval in (7, 30, 50, 60, 1440):
                with self.subTest(zone=zone, interval=interval):
                    day = date(2026, 1, 1)
                    while day.year == 2026:
                        begin = first_moment(day, zone)
                        self.assertEqual(aligned(begin, zone, interval), begin)
                        self.assertTrue(begins_day(begin, zone))
                        day += timedelta(days=1)

    def test_moments_of_a_day_with_a_clock_change(self):
        """A day of 23 hours has 23 hourly moments, one of 25 hours 25, each once."""
        for zone, day, hours in (
            (LONDON, date(2026, 3, 29), 23),
            (LONDON, date(2026, 10, 25), 25),
            (SANTIAGO, date(2026, 9, 6), 23),
            (HAVANA, date(2026, 11, 1), 25),
            (SHANGHAI, date(2026, 3, 29), 24),
        ):
            with self.subTest(zone=zone, day=day):
                begin = first_moment(day, zone)
                end = first_moment(day + timedelta(days=1), zone)
                minutes = int((end - begin).total_seconds()) // 60
                moments = {
                    aligned(begin + timedelta(minutes=minute), zone, 60)
                    for minute in range(minutes)
                }
                self.assertEqual(len(moments), hours)

    def test_midnight_goes_first_and_the_seldom_read_before_all(self):
        schedule = Schedule()
        read_at = datetime(2026, 3, 1, 15, 0)
        schedule.set_meters(
            DueMeter(key, zone, interval, read_at)
            for key, zone, interval in (
                (1, SHANGHAI, 1),
                (2, LONDON, 1),
                (3, SHANGHAI, 1440),
                (4, SHANGHAI, 30),
            )
        )
        # Midnight in Shanghai, four in the afternoon in London.
        self.assertEqual(schedule.due(datetime(2026, 3, 1, 16, 0)), ([3, 4, 1], [2]))


def first_moment(day, zone):
    """Return the first moment of a local day, found minute by minute; naive UTC."""
    moment = datetime.combine(day, time()) - timedelta(hours=15)
    while moment.replace(tzinfo=UTC).astimezone(zone).date() < day:
        moment += timedelta(minutes=15)
    return moment
