"""The only page of the shop."""

from django.http import JsonResponse
from django.urls import path

from shop.models import Product


def stock(request, name):
    """How much of a product there is."""
    return JsonResponse({"stock": Product.objects.get(name=name).stock})


urlpatterns = [path("stock/<name>", stock)]
