"""The tasks that an order sends."""

import random
import time

from stress.project.runs import run
from stress.project.shop.models import Order, Shipment
from taskq.celery import shared_task


@shared_task
def send_receipt(number: int) -> None:
    """Quick, like most tasks."""
    with run(f"receipt {number}"):
        Order.objects.get(number=number)


class BankDown(Exception):
    pass


@shared_task(autoretry_for=(BankDown,), max_retries=None, retry_backoff=0.1, retry_backoff_max=1)
def charge_card(number: int) -> None:
    """The bank is down every third time."""
    with run(f"charge {number}"):
        if random.random() < 1 / 3:
            raise BankDown(f"order {number}")


@shared_task
def print_label(number: int, seconds: float) -> None:
    """Slow, so that the demo can kill its worker in the middle."""
    with run(f"label {number}"):
        time.sleep(seconds)


@shared_task(atomic=True)
def ship(number: int) -> None:
    """Its shipment and its completion are one transaction, so each order has one shipment."""
    with run(f"ship {number}"):
        Shipment.objects.create(order=Order.objects.get(number=number))
