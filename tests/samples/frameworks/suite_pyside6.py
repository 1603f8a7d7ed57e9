import os
import unittest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QObject, QThread, QTimer, Signal


class Sender(QObject):
    sent = Signal(int)


class SignalsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.application = QCoreApplication.instance() or QCoreApplication([])

    def test_signal(self):
        found, sender = [], Sender()
        sender.sent.connect(found.append)
        sender.sent.emit(3)
        self.assertEqual(found, [3])

    def test_timer(self):
        found = []
        QTimer.singleShot(0, lambda: (found.append(1), self.application.quit()))
        self.application.exec()
        self.assertEqual(found, [1])

    def test_thread(self):
        thread = QThread()
        thread.start()
        thread.quit()
        self.assertTrue(thread.wait(5000))

    def test_name(self):
        self.application.setObjectName("left")
        self.assertEqual(self.application.objectName(), "left")

    def test_parents(self):
        parent = QObject()
        child = QObject(parent)
        self.assertIs(child.parent(), parent)

    def test_disconnect(self):
        sender = Sender()
        sender.sent.connect(self.fail)
        sender.sent.disconnect(self.fail)
        sender.sent.emit(1)

    def test_fails(self):
        self.assertEqual(Sender().objectName(), "x")

    def test_raises(self):
        Sender().nothing()

    def test_skipped(self):
        self.skipTest("not here")

    @unittest.expectedFailure
    def test_expected(self):
        self.assertIsNone(self.application)
