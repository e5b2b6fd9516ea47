"""Tasks of a tenant."""

from django.db import connection

from stress.project.shop.models import Order
from taskq.celery import shared_task


@shared_task
def order(number):
    Order.objects.create(number=number)


@shared_task(atomic=True)
def order_atomically(number):
    Order.objects.create(number=number)


@shared_task
async def order_in_a_coroutine(number):
    await Order.objects.acreate(number=number)


@shared_task
def order_for(schema, number):
    """Chooses its tenant itself, and leaves it at that."""
    connection.set_schema(schema)
    Order.objects.create(number=number)


@shared_task(bind=True, max_retries=1)
def order_at_second_try(self, number):
    if not self.request.retries:
        raise self.retry(countdown=0)
    Order.objects.create(number=number)
