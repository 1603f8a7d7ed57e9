"""A small shop, written as much old code is: with its settings in a module's globals."""

import os

settings = {"currency": "EUR", "discount": 0.0}
_carts = {}


def price(amount):
    """What is to be paid, as the shop shows it."""
    to_pay = amount * (1 - settings["discount"])
    if os.environ.get("SHOP_REGION") == "UK":
        to_pay *= 1.2
    return f"{to_pay:.2f} {settings['currency']}"


def cart(customer):
    """The customer's cart, made when it is first asked for."""
    return _carts.setdefault(customer, [])
