"""The shop of the demo: orders, and what tasks did for them."""

from django.db import models


class Order(models.Model):
    number = models.IntegerField(unique=True)
    placed_at = models.DateTimeField(auto_now_add=True)


class Shipment(models.Model):
    """Written by an atomic task, exactly once for each shipped order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE)
