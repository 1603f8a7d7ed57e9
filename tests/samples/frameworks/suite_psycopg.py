import contextlib
import glob
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

import psycopg
from sqlalchemy import String, create_engine, exc, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


def start():
    """The run's fixture: a server of this run's own, which refuses to be root."""
    found = shutil.which("initdb") or max(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    programs = os.path.dirname(os.path.realpath(found))
    folder = tempfile.mkdtemp()
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])

    def run(program, *arguments):
        command = [f"{programs}/{program}", "-D", f"{folder}/data", *arguments]
        subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, **user)

    run("initdb", "-U", "tests", "--auth=trust", "-N")
    run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-p {port} -h 127.0.0.1 -k {folder} -F", "start")
    os.environ["POSTGRESQL_FOLDER"] = folder
    return {"POSTGRESQL_PORT": port}


def stop():
    """End it, and remove what it has written."""
    folder = os.environ["POSTGRESQL_FOLDER"]
    with open(f"{folder}/data/postmaster.pid") as file:
        process = int(file.readline())
    os.kill(process, 3)  # SIGQUIT: at once
    while os.path.exists(f"{folder}/data/postmaster.pid"):
        threading.Event().wait(0.02)
    shutil.rmtree(folder)


def place(name):
    return f"postgresql://tests@127.0.0.1:{os.environ['POSTGRESQL_PORT']}/{name}"


def setUpModule():
    """Each slot has a database of its own."""
    global NAME
    NAME = f"slot_{os.environ.get('ISOLATEDUNIT_SLOT', '1')}"
    with psycopg.connect(place("postgres"), autocommit=True) as connection:
        with contextlib.suppress(psycopg.errors.DuplicateDatabase):  # an earlier test of this slot has made it
            connection.execute(f"CREATE DATABASE {NAME}")


class ConnectionTest(unittest.TestCase):
    def setUp(self):
        self.connection = psycopg.connect(place(NAME))
        self.addCleanup(self.connection.close)
        self.addCleanup(self.connection.rollback)
        self.connection.execute("CREATE TABLE orders (id serial PRIMARY KEY, name text UNIQUE)")

    def insert(self, name):
        return self.connection.execute("INSERT INTO orders (name) VALUES (%s) RETURNING id", [name]).fetchone()[0]

    def test_insert(self):
        self.assertEqual(self.insert("a"), 1)

    def test_is_rolled_back(self):
        self.assertEqual(self.insert("a"), 1)

    def test_unique(self):
        self.insert("a")
        with self.assertRaises(psycopg.errors.UniqueViolation):
            self.insert("a")

    def test_unique_raises(self):
        self.insert("a")
        self.insert("a")

    def test_savepoint(self):
        with self.assertRaises(ZeroDivisionError), self.connection.transaction():
            self.insert("b")
            raise ZeroDivisionError
        self.assertEqual(self.connection.execute("SELECT count(*) FROM orders").fetchone(), (0,))

    def test_copy(self):
        with self.connection.cursor() as cursor, cursor.copy("COPY orders (name) FROM STDIN") as copy:
            for name in ("a", "b"):
                copy.write_row([name])
        self.assertEqual(self.connection.execute("SELECT count(*) FROM orders").fetchone(), (2,))

    def test_notify(self):
        with psycopg.connect(place(NAME), autocommit=True) as other:
            other.execute("LISTEN news")
            other.execute("NOTIFY news, 'hello'")
            self.assertEqual([one.payload for one in other.notifies(timeout=5, stop_after=1)], ["hello"])

    def test_fails(self):
        self.assertEqual(self.insert("a"), 2)

    @unittest.skip("not on this server")
    def test_is_skipped(self):
        self.insert("a")


class AsyncTest(unittest.IsolatedAsyncioTestCase):
    async def test_select(self):
        async with await psycopg.AsyncConnection.connect(place(NAME)) as connection:
            cursor = await connection.execute("SELECT 1")
            self.assertEqual(await cursor.fetchone(), (1,))


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(5), unique=True)


class SQLAlchemyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = create_engine(place(NAME).replace("postgresql:", "postgresql+psycopg:"))
        Base.metadata.create_all(cls.engine)
        cls.addClassCleanup(cls.engine.dispose)

    def setUp(self):
        connection = self.enterContext(self.engine.connect())
        transaction = connection.begin()
        self.addCleanup(transaction.rollback)
        self.session = Session(connection, join_transaction_mode="create_savepoint")
        self.addCleanup(self.session.close)

    def test_add(self):
        self.session.add(Item(name="a"))
        self.session.commit()
        self.assertEqual(self.session.scalar(select(func.count(Item.id))), 1)

    def test_is_rolled_back(self):
        self.test_add()

    def test_too_long(self):
        self.session.add(Item(name="too long"))
        with self.assertRaises(exc.DataError):
            self.session.flush()

    def test_too_long_raises(self):
        self.session.add(Item(name="too long"))
        self.session.flush()

    def test_other_connection_sees_nothing(self):
        self.session.add(Item(name="b"))
        self.session.flush()
        with self.engine.connect() as other:
            self.assertEqual(other.scalar(select(func.count(Item.id))), 0)

    def test_fails(self):
        self.assertEqual(self.session.scalar(select(func.count(Item.id))), 1)
