"""Sandboxes: without these tests, two tests that run at once could meet, or a test be process 1 and survive its end."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable

from tests.support.command_line import Completed, environment, run_python
from tests.support.processes import processes_with
from tests.support.projects import ProjectTestCase
from tests.support.start_methods import need_sandbox
from tests.support.waiting import wait_until

NAMESPACES = "--sandbox", "namespaces"
VARIABLE = "TESTS_OF_NAMESPACES"

MEETING = """
import os, socket, sys, time, unittest

class Meeting(unittest.TestCase):
    def check(self, name, other):
        port = socket.create_server(("127.0.0.1", 8080))
        self.addCleanup(port.close)
        path = socket.socket(socket.AF_UNIX)
        self.addCleanup(path.close)
        path.bind("/tmp/app.sock")
        for fixed in ("/tmp/fixed-name", "/var/tmp/fixed-name", "/dev/shm/x"):
            with open(fixed, "x") as file:
                file.write(name)
        open(name, "x").close()  # in the project, which both see
        deadline = time.monotonic() + 60
        while not os.path.exists(other):
            self.assertLess(time.monotonic(), deadline, f"{other} does not run at the same time")
            time.sleep(0.01)
        for fixed in ("/tmp/fixed-name", "/var/tmp/fixed-name", "/dev/shm/x"):
            with open(fixed) as file:
                self.assertEqual(file.read(), name)
        with socket.create_connection(("127.0.0.1", 8080)) as there:
            self.assertEqual(there.getsockname(), port.accept()[0].getpeername())

    def test_a(self):
        self.check("a", "b")

    def test_b(self):
        self.check("b", "a")
"""

TIDY = """
import ctypes, os, signal, sys, tempfile, time, unittest

MADE = tempfile.mkdtemp(dir="/tmp")
libc = ctypes.CDLL(None)
EMPTY = {one: sorted(os.listdir(one)) for one in ("/tmp", "/var/tmp", "/dev/shm")}

class Tidy(unittest.TestCase):
    def check(self):
        self.assertNotEqual(os.getpid(), 1)
        self.assertEqual(os.getppid(), 1)
        self.assertEqual([int(one) for one in os.listdir("/proc") if one.isdigit()], [1, os.getpid()])
        self.assertEqual({one: sorted(os.listdir(one)) for one in EMPTY}, EMPTY)
        self.assertTrue(os.path.isdir(MADE))
        with open("/proc/sysvipc/shm") as file:
            self.assertEqual(len(file.readlines()), 1)
        os.mkdir("/tmp/left")
        for one in ("/tmp/left/file", "/tmp/fixed-name", "/var/tmp/fixed-name", "/dev/shm/x"):
            open(one, "x").close()
        self.assertGreaterEqual(libc.shmget(0x1234, 4096, 0o3600), 0)

    def test_1(self):
        self.check()

    def test_2_leaves_processes(self):
        self.check()
        ready, is_ready = os.pipe()
        if os.fork() == 0:
            os.setsid()
            for _ in range(2):
                os.fork()
            for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
                try:
                    signal.signal(number, signal.SIG_IGN)
                except OSError:
                    pass
            os.write(is_ready, b"!")
            time.sleep(600)
            os._exit(0)
        for _ in range(4):
            os.read(ready, 1)

    def test_3(self):
        self.check()

    def test_4_ends_itself(self):
        os.kill(1, signal.SIGKILL)  # nobody can in there
        os.kill(os.getpid(), signal.SIGKILL)

    def test_5(self):
        self.check()

    def test_6_stays(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
        time.sleep(600)
"""

LEAVING = """
import os, time, unittest

class Leaving(unittest.TestCase):
    def test_leaves(self):
        if os.fork() == 0:
            os.setsid()
            os.fork()
        open("ready", "a").close()
        time.sleep(600)
"""

SHARING = """
import os, socket, unittest

def setUpModule():
    global server
    server = socket.socket(socket.AF_UNIX)
    server.bind("/tmp/app.sock")
    server.listen()

def tearDownModule():
    server.close()
    os.unlink("/tmp/app.sock")

class Sharing(unittest.TestCase):
    def test_a(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("/tmp/app.sock")
    test_b = test_a
"""

WITHOUT_RIGHTS = """
import ctypes, os, sys

ctypes.CDLL(None).prctl(24, 21, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_ADMIN: an ordinary user has not got that anyway
os.execv(sys.executable, [sys.executable, "-m", "isolatedunit", *sys.argv[1:]])
"""

RIGHTS = """
import os, unittest

class Rights(unittest.TestCase):
    def test_none_is_left(self):
        with open("/proc/self/status") as file:
            rights = [line.split()[1] for line in file if line.startswith("CapEff:")]
        self.assertEqual([int(one, 16) for one in rights], [0])
        open("/tmp/unreadable", "x").close()
        os.chmod("/tmp/unreadable", 0)
        with self.assertRaises(PermissionError):
            open("/tmp/unreadable")
"""

WRITING = """
import os, sys, tempfile, unittest

open(os.devnull, "w").close()
with open("made_by_import", "w") as file:
    file.write("imported")

def read(path):
    with open(path) as file:
        return file.read()

class Writing(unittest.TestCase):
    def check(self):
        self.assertEqual((read("made_by_import"), read("old")), ("imported", "old"))
        self.assertEqual([sorted(os.listdir(one)) for one in ("folder", "built")], [["a", "b"], ["inside"]])
        self.assertFalse([one for one in NEW if os.path.lexists(one)])
        for one in NEW:
            with open(one, "x") as file:
                file.write("new")
        os.makedirs("heap/of/folders")
        for one in ("made_by_import", "old"):
            with open(one, "a") as file:
                file.write("more")
        for one in ("folder/a", "folder/b"):
            os.unlink(one)
        os.rmdir("folder")
        os.mkdir("folder")
        os.chmod("unchanged", 0o600)
        os.chmod("unchanged", 0o644)
        os.mkdir("__pycache__")

    test_a = test_b = check

    def test_own(self):
        for path in ("built/inside/new", "log.txt", "/tmp/new", "/dev/shm/new", "/dev/null", "/proc/self/comm"):
            with open(path, "w") as file:
                file.write("new")
        with tempfile.TemporaryDirectory() as directory:
            open(os.path.join(directory, "new"), "w").close()

NEW = "new", os.path.join(HOME, "new")
"""

CHANGED = {"new (new)", "heap (new)", "made_by_import (changed)", "old (changed)", "folder (changed)"}

READING = """
import errno, unittest

class Reading(unittest.TestCase):
    def test_nothing_can_be_written(self):
        with self.assertRaises(OSError) as caught:
            open("new", "w")
        self.assertEqual(caught.exception.errno, errno.EROFS)
"""

BELOW_OVERLAYS = """
import ctypes, os, sys

library = ctypes.CDLL(None)
here = os.getcwd()
os.mkdir("memory")
if library.unshare(0x20000) or library.mount(b"none", b"/", None, 0x44000, None):
    sys.exit(77)
library.mount(b"none", b"memory", b"tmpfs", 0, None)
for name in "ab":  # two are the most that the kernel has one above the other
    for one in ("upper", "work"):
        os.makedirs(f"memory/{name}/{one}")
    options = f"lowerdir={here},upperdir=/proc/self/fd/{{}}/{name}/upper,workdir=/proc/self/fd/{{}}/{name}/work"
    if name == "a":
        memory = os.open("memory", os.O_PATH)
    if library.mount(b"none", os.fsencode(here), b"overlay", 0, os.fsencode(options.format(memory, memory))):
        sys.exit(77)
os.close(memory)
os.chdir(here)
os.execv(sys.executable, [sys.executable, "-m", "isolatedunit", *sys.argv[1:]])
"""

FORBIDDING = """
import ctypes, os, sys

user, group = os.geteuid(), os.getegid()
if ctypes.CDLL(None).unshare(0x10000000):  # CLONE_NEWUSER: its limits hold for nobody else
    sys.exit(77)
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)
for name in ("max_pid_namespaces", "max_user_namespaces"):
    with open(f"/proc/sys/user/{name}", "w") as file:
        file.write("0")
os.execv(sys.executable, [sys.executable, "-m", "isolatedunit", *sys.argv[1:]])
"""


class NamespacesTest(ProjectTestCase):
    def setUp(self) -> None:
        super().setUp()
        need_sandbox(self, "namespaces")

    def test_tests_that_run_at_once_do_not_meet(self) -> None:
        self.write("test_meeting.py", MEETING)
        ended = self.run_here(*NAMESPACES, "--sandbox-network", "private", "--parallel-by", "test", "-j", "2")
        self.assertEqual((ended.exit_code, len(ended.tests())), (0, 2), ended.output)
        self.assertEqual({test["attempts"][0]["start_method"] for test in ended.tests().values()}, {"namespaces"})

    def test_a_test_begins_with_nothing_that_another_left(self) -> None:
        self.write("test_tidy.py", TIDY)
        ended = self.run_here(*NAMESPACES, "--process-timeout", "5", "--terminate-grace", "0.1", "--leaks", "ignore")
        found = {name.rpartition(".")[2][:6]: test for name, test in ended.tests().items()}
        outcomes = {name: (test["outcome"], test["cause"]) for name, test in found.items()}
        passed = ("passed", None)
        expected = dict.fromkeys(("test_1", "test_2", "test_3", "test_5"), passed)
        self.assertEqual(outcomes, {**expected, "test_4": ("error", "crash"), "test_6": ("error", "timeout")})
        self.assertEqual(found["test_4"]["attempts"][0]["signal"], "SIGKILL")
        self.assertEqual(found["test_6"]["attempts"][0]["signal"], "SIGKILL")
        self.assertRegex(ended.output, r'test_tidy.py", line \d+ in test_6_stays\n')
        leaks = found["test_2"]["attempts"][0]["handle_stats"]["leaks"]
        self.assertEqual([leak["kind"] for leak in leaks], ["process"] * 4, leaks)

    def test_forks_of_fixtures_are_in_the_sandbox_of_the_fixtures(self) -> None:
        self.write("test_sharing.py", SHARING)
        ended = self.run_here(*NAMESPACES, "--fork-after", "fixtures", "--parallel-by", "test", "-j", "2")
        self.assertEqual((ended.exit_code, len(ended.tests())), (0, 2), ended.output)
        self.assertFalse(os.path.exists("/tmp/app.sock"))

    def test_nothing_survives_the_runner(self) -> None:
        self.write("test_leaving.py", LEAVING)
        scratch, mark = os.path.join(self.directory, "scratch"), uuid.uuid4().hex
        os.mkdir(scratch)
        runner = self.start_here(*NAMESPACES, env=environment(TMPDIR=scratch, **{VARIABLE: mark}))
        wait_until(lambda: os.path.exists(os.path.join(self.directory, "ready")), "the test")
        self.assertGreater(len(processes_with(VARIABLE, mark)), 4)
        runner.kill()
        wait_until(lambda: not processes_with(VARIABLE, mark), "the end of all processes")
        wait_until(lambda: not os.listdir(scratch), "the end of the run's files")

    def test_a_user_without_rights_has_them_in_a_user_namespace_and_no_test_has_them(self) -> None:
        self.write("apart.py", WITHOUT_RIGHTS)
        self.write("test_meeting.py", MEETING)
        self.write("test_rights.py", RIGHTS)
        ended = self.run_apart(*NAMESPACES, "--sandbox-network", "private", "--parallel-by", "test", "-j", "2")
        if ended.exit_code == 2 and "the system refuses it" in ended.output:
            self.skipTest(ended.output)
        self.assertEqual((ended.exit_code, ended.last_line), (0, "3 passed, 0 failed, 0 skipped"), ended.output)

    def check_writing(self, run: Callable[..., Completed]) -> None:
        home = os.path.join(self.directory, "home")
        for one in ("home", "folder", "built/inside"):
            os.makedirs(os.path.join(self.directory, one))
        for one in ("log.txt", "old", "folder/a", "folder/b", "unchanged"):
            self.write(one, one)
        os.chmod(os.path.join(self.directory, "unchanged"), 0o644)
        self.write("test_writing.py", f"HOME = {home!r}\n{WRITING}")
        ended = run(*NAMESPACES, "--sandbox-writable", "built", "--sandbox-writable", "log.txt", "test_writing")
        if ended.exit_code == 2 and re.search("the system refuses it|this system cannot make", ended.output):
            self.skipTest(ended.output)
        if "no overlay" in ended.output:
            self.skipTest("this system has no overlays for the tests' directory")
        self.assertEqual((ended.exit_code, ended.last_line), (0, "3 passed, 0 failed, 0 skipped"), ended.output)
        expected = {os.path.join(self.directory, one) for one in (*CHANGED, "home/new (new)")}
        for test in "ab":
            told = re.search(rf"test_{test} left behind: (.+)", ended.output)
            self.assertIsNotNone(told, ended.output)
            assert told is not None
            self.assertEqual({one.removeprefix("a changed file, ") for one in told[1].split("; ")}, expected)
        self.assertNotIn("test_own left", ended.output)
        self.assertEqual(os.listdir(os.path.join(self.directory, "built", "inside")), ["new"])
        self.assertEqual(sorted(os.listdir(os.path.join(self.directory, "folder"))), ["a", "b"])
        self.assertFalse(os.path.exists(os.path.join(self.directory, "made_by_import")))

    def test_what_is_changed_elsewhere_is_told_and_thrown_away(self) -> None:
        self.check_writing(self.run_here)

    def test_a_user_without_rights_has_files_protected_too(self) -> None:
        self.write("apart.py", WITHOUT_RIGHTS)
        self.check_writing(self.run_apart)

    def test_a_change_that_fails_its_test(self) -> None:
        body = "import unittest\nclass One(unittest.TestCase):\n    def test_one(self): open('new', 'w').close()\n"
        self.write("test_one.py", body)
        os.mkdir(os.path.join(self.directory, "built"))
        ended = self.run_here(*NAMESPACES, "--sandbox-writable", "built", "--leaks", "fail:files", "test_one")
        if "no overlay" in ended.output:
            self.skipTest("this system has no overlays for the tests' directory")
        (test,) = ended.tests().values()
        self.assertEqual((test["outcome"], test["cause"]), ("failed", "leak"), ended.output)
        leaks = [leak for leak in test["attempts"][0]["handle_stats"]["leaks"] if leak["kind"] == "files"]
        self.assertEqual(leaks, [{"kind": "files", "identity": os.path.join(self.directory, "new (new)")}])

    def test_without_overlays_other_files_can_only_be_read(self) -> None:
        self.write("apart.py", BELOW_OVERLAYS)
        self.write("test_reading.py", READING)
        os.mkdir(os.path.join(self.directory, "built"))
        ended = self.run_apart(*NAMESPACES, "--sandbox-writable", "built", "test_reading")
        if ended.exit_code == 77:
            self.skipTest("this user cannot mount an overlay")
        self.assertEqual(ended.exit_code, 0, ended.output)
        self.assertRegex(ended.output, "(?m)^isolatedunit: --sandbox-writable: .+ can only be read$")

    def test_one_sentence_says_that_a_path_to_be_written_is_not_there(self) -> None:
        self.write("test_one.py", "import unittest\nclass One(unittest.TestCase):\n    def test_one(self): pass\n")
        refused = self.run_here(*NAMESPACES, "--sandbox-writable", "nowhere", "test_one", report=False)
        self.assertEqual(refused.exit_code, 2, refused.output)
        self.assertRegex(
            refused.output,
            r"\Aisolatedunit: --sandbox-writable .+/nowhere: there is no such directory or file; make it first\.\n\Z",
        )

    def test_one_sentence_says_that_the_system_refuses_and_what_allows_it(self) -> None:
        self.write("apart.py", FORBIDDING)
        self.write("test_one.py", "import unittest\nclass One(unittest.TestCase):\n    def test_one(self): pass\n")
        refused = self.run_apart(*NAMESPACES, "test_one")
        if refused.exit_code == 77:
            self.skipTest("no user namespace can be made here")
        self.assertEqual(refused.exit_code, 2, refused.output)
        self.assertRegex(
            refused.output,
            r"\Aisolatedunit: --sandbox namespaces: the system refuses it \(unshare: .+\); allow it with: sysctl "
            r"user.max_user_namespaces=10000, or use --sandbox none\.\n\Z",
        )
        fallen_back = self.run_apart("--sandbox", "auto", "test_one")
        self.assertEqual(fallen_back.exit_code, 0, fallen_back.output)
        self.assertIn("the tests run without a sandbox: the system refuses it", fallen_back.output)
        self.assertIn("1 passed", fallen_back.output)

    def run_apart(self, *arguments: str) -> Completed:
        """Run isolatedunit in the project as ``apart.py`` does."""
        return run_python("apart.py", *arguments, cwd=self.directory, env=environment())
