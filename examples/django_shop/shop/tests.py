"""Tests of each kind that Django has. No test finds what another one has left."""

import json
from urllib.request import urlopen

from django.core import mail
from django.test import LiveServerTestCase, SimpleTestCase, TestCase, TransactionTestCase

from shop.models import Order, OutOfStock, Product, order

registry = []


class TotalTest(SimpleTestCase):
    """Needs no database."""

    def test_total(self):
        self.assertEqual(Order(product=Product(price=350), amount=2).total, 700)


class OrderTest(TestCase):
    """Each test is rolled back."""

    @classmethod
    def setUpTestData(cls):
        Product.objects.create(name="cake", price=400, stock=1)

    def test_stock_is_less_afterwards(self):
        order("cake", 1)
        self.assertEqual(Product.objects.get(name="cake").stock, 0)

    def test_more_than_there_is(self):
        with self.assertRaises(OutOfStock):
            order("cake", 2)

    def test_page(self):
        self.assertEqual(self.client.get("/stock/cake").json(), {"stock": 1})

    async def test_page_asynchronously(self):
        response = await self.async_client.get("/stock/cake")
        self.assertEqual(response.json(), {"stock": 1})

    def test_mail(self):
        mail.send_mail("Thank you", "for your order", "shop@example.com", ["you@example.com"])
        self.assertEqual(len(mail.outbox), 1)


class CommitTest(TransactionTestCase):
    """Each test commits. What the migrations have put into the database is there for every test."""

    def test_order_is_kept(self):
        order("tea", 3)
        self.assertEqual(Product.objects.get(name="tea").stock, 7)

    def test_order_of_all(self):
        order("tea", 10)
        self.assertEqual(Product.objects.get(name="tea").stock, 0)


class ServerTest(LiveServerTestCase):
    """The server is a thread of the test's process."""

    def test_page(self):
        with urlopen(f"{self.live_server_url}/stock/tea") as response:
            self.assertEqual(json.load(response), {"stock": 10})


class RegistryTest(SimpleTestCase):
    """These fail in one process, in either order."""

    def test_first(self):
        registry.append("first")
        self.assertEqual(registry, ["first"])

    def test_second(self):
        registry.append("second")
        self.assertEqual(registry, ["second"])
