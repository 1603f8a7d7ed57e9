"""A small shop, written like much old code: its settings are global variables of the module."""

import os

settings = {"currency": "EUR", "discount": 0.0}
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
