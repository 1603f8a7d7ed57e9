import datetime
import time
import unittest

from freezegun import freeze_time


@freeze_time("2020-02-02")
class FrozenClassTest(unittest.TestCase):
    def test_today(self):
        self.assertEqual(datetime.date.today(), datetime.date(2020, 2, 2))

    def test_time(self):
        self.assertEqual(time.gmtime(time.time())[:3], (2020, 2, 2))

    def test_fails(self):
        self.assertEqual(datetime.date.today().year, 2021)


class FrozenTest(unittest.TestCase):
    @freeze_time("2021-03-04 05:06:07")
    def test_method(self):
        self.assertEqual(datetime.datetime.now(), datetime.datetime(2021, 3, 4, 5, 6, 7))

    def test_context(self):
        with freeze_time("2019-01-01") as frozen:
            frozen.tick(60)
            self.assertEqual(datetime.datetime.now().minute, 1)

    @freeze_time("2019-01-01", tick=True)
    def test_ticks(self):
        self.assertEqual(datetime.date.today().year, 2019)

    @freeze_time("2019-01-01", auto_tick_seconds=15)
    def test_ticks_by_itself(self):
        first = datetime.datetime.now()
        self.assertEqual((datetime.datetime.now() - first).seconds, 15)

    def test_left_frozen(self):
        freeze_time("2001-01-01").start()
        self.assertEqual(datetime.date.today().year, 2001)

    def test_moved(self):
        with freeze_time("2019-01-01") as frozen:
            frozen.move_to("2030-01-01")
            self.assertEqual(datetime.date.today().year, 2030)

    def test_monotonic(self):
        with freeze_time("2019-01-01"):
            self.assertEqual(time.monotonic(), time.monotonic())
