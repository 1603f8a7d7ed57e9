"""What the shop sells, and what was ordered."""

from django.db import models, transaction


class Product(models.Model):
    """Something to be sold."""

    name = models.CharField(max_length=100, unique=True)
    price = models.PositiveIntegerField(help_text="in cents")
    stock = models.PositiveIntegerField(default=0)


class Order(models.Model):
    """Some of a product."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    amount = models.PositiveIntegerField()

    @property
    def total(self):
        """The price of all of it, in cents."""
        return self.product.price * self.amount


class OutOfStock(Exception):
    """There is not as much as was ordered."""


@transaction.atomic
def order(name, amount):
    """Order *amount* of the product with this name; raises `OutOfStock`."""
    product = Product.objects.select_for_update().get(name=name)
    if product.stock < amount:
        raise OutOfStock(name)
    product.stock -= amount
    product.save()
    return Order.objects.create(product=product, amount=amount)
