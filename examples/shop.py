"""A small shop, written like much old code: its settings are global variables of the module."""

import logging
import os

settings = {"currency": "EUR", "discount": 0.0}
subscribers = ["accounting"]
_carts = {}


def price(amount):
    """Return the price to pay, as the shop displays it."""
    to_pay = amount * (1 - settings["discount"])
    if os.environ.get("SHOP_REGION") == "UK":
        to_pay *= 1.2
    return f"{to_pay:.2f} {settings['currency']}"


def cart(customer):
    """Return the customer's cart; the first call for a customer creates it."""
    return _carts.setdefault(customer, [])


class Receipt:
    """A receipt, which the shop prints on paper of one width."""

    width = 20

    def line(self, name, amount):
        """Return a line with the name at the left and the price at the right."""
        return f"{name}{price(amount):>{self.width - len(name)}}"


def order(name):
    """Take an order; returns who is told of it."""
    logging.getLogger("shop").warning("%s was ordered", name)
    return len(subscribers)


def path_of_export():
    """Return the path of the file that orders are exported to, in the current directory."""
    return os.path.abspath("orders.csv")
