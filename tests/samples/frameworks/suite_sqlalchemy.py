import unittest

from sqlalchemy import ForeignKey, create_engine, event, exc, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    lines: Mapped[list["Line"]] = relationship(back_populates="order")


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    order: Mapped[Order] = relationship(back_populates="lines")


ENGINE = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
Base.metadata.create_all(ENGINE)


# as SQLAlchemy's documentation has it: sqlite3 itself would begin no transaction that savepoints could be in
@event.listens_for(ENGINE, "begin")
def begin(connection):
    connection.connection.dbapi_connection.isolation_level = None
    connection.exec_driver_sql("BEGIN")


class OrmTest(unittest.TestCase):
    def setUp(self):
        self.connection = ENGINE.connect()
        self.transaction = self.connection.begin()
        self.session = Session(self.connection, join_transaction_mode="create_savepoint")
        self.addCleanup(self.connection.close)
        self.addCleanup(self.transaction.rollback)
        self.addCleanup(self.session.close)

    def test_add(self):
        self.session.add(Order(name="a"))
        self.session.commit()
        self.assertEqual(self.session.scalar(select(func.count(Order.id))), 1)

    def test_is_rolled_back(self):
        self.test_add()

    def test_unique(self):
        self.session.add_all([Order(name="a"), Order(name="a")])
        with self.assertRaises(exc.IntegrityError):
            self.session.flush()

    def test_unique_raises(self):
        self.session.add_all([Order(name="a"), Order(name="a")])
        self.session.flush()

    def test_relationship(self):
        order = Order(name="b", lines=[Line(), Line()])
        self.session.add(order)
        self.session.flush()
        self.assertEqual(len(self.session.scalars(select(Line).where(Line.order == order)).all()), 2)

    def test_events(self):
        seen = []
        event.listen(self.session, "before_flush", lambda *_: seen.append(1))
        self.session.add(Order(name="c"))
        self.session.flush()
        self.assertEqual(seen, [1])

    def test_own_engine(self):
        engine = create_engine("sqlite://")
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            self.assertEqual(session.scalars(select(Order)).all(), [])
        engine.dispose()

    def test_fails(self):
        self.assertEqual(self.session.scalar(select(func.count(Order.id))), 1)

    def test_commits_for_good(self):
        with ENGINE.begin() as connection:
            self.assertIsNotNone(connection)

    def test_nested(self):
        with self.session.begin_nested():
            self.session.add(Order(name="d"))
        self.assertIsNotNone(self.session.scalar(select(Order).where(Order.name == "d")))
