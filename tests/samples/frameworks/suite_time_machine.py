import datetime
import time
import unittest

import time_machine


@time_machine.travel(datetime.datetime(2020, 2, 2, tzinfo=datetime.timezone.utc))
class TravellingTest(unittest.TestCase):
    def test_today(self):
        self.assertEqual(datetime.datetime.now(datetime.timezone.utc).date(), datetime.date(2020, 2, 2))

    def test_time(self):
        self.assertEqual(time.gmtime()[:3], (2020, 2, 2))

    def test_fails(self):
        self.assertEqual(time.gmtime()[0], 2021)


class MomentsTest(unittest.TestCase):
    @time_machine.travel(0.0, tick=False)
    def test_epoch(self):
        self.assertEqual(time.time(), 0.0)

    def test_shift(self):
        with time_machine.travel(0.0, tick=False) as traveller:
            traveller.shift(90)
            self.assertEqual(time.time(), 90.0)

    def test_move(self):
        with time_machine.travel(0.0, tick=False) as traveller:
            traveller.move_to(5.0)
            self.assertEqual(time.time(), 5.0)

    def test_nested(self):
        with time_machine.travel(0.0, tick=False), time_machine.travel(10.0, tick=False):
            self.assertEqual(time.time(), 10.0)

    def test_time_is_back(self):
        self.assertGreater(time.time(), 10**9)

    def test_z_left_travelling(self):
        time_machine.travel(1.0, tick=False).start()
        self.assertEqual(time.time(), 1.0)

    def test_time_is_back_again(self):
        self.assertGreater(time.time_ns(), 0)
