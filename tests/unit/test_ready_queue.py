"""The queue of groups: without these tests, a group could be overtaken for ever, or be served twice."""

from __future__ import annotations

import random
import unittest

from isolatedunit.engine.scheduling.slots import Place, ReadyQueue


class LineTest(unittest.TestCase):
    def test_the_lowest_is_taken_first_in_whatever_order_they_come(self) -> None:
        chance = random.Random(7)
        for _ in range(200):
            line, waiting, order = ReadyQueue(), list[Place](), 0
            for _ in range(50):
                if waiting and chance.random() < 0.4:
                    self.assertEqual(line.pop(), waiting.pop(waiting.index(min(waiting))))
                else:
                    # mostly new ones, sometimes one that was there before
                    order += 1
                    place = (order, "new") if chance.random() < 0.7 else (chance.randrange(order), "back")
                    line.add(place)
                    waiting.append(place)
                probe = (chance.randrange(order + 2), "m")
                self.assertEqual(line.has_before(probe), any(place < probe for place in waiting))
                self.assertEqual(bool(line), bool(waiting))

    def test_nobody_waits_when_it_is_cleared(self) -> None:
        line = ReadyQueue()
        for place in ((2, "a"), (1, "b")):
            line.add(place)
        line.clear()
        self.assertFalse(line)
        self.assertFalse(line.has_before((9, "z")))
