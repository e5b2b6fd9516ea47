"""Tasks with arguments that nobody should read."""

import logging

from taskq.celery import current_task, shared_task

log = logging.getLogger("shop.secrets")


@shared_task(sensitive=("token", "card"), autoretry_for=(LookupError,), retry_jitter=False)
def pay(order, token, card=None, how="fail"):
    """Has its values in a log line, and in an error with a cause."""
    log.warning("paying %s with %s", order, token, extra={"card": card, "said": f"<{token}>"})
    try:
        raise KeyError(token)
    except KeyError as error:
        log.exception("no such token")
        if how == "retry" and not current_task.request.retries:
            raise LookupError(f"retry {card}") from error
        number = card.pop("number") if card else ""  # what it was given is changed
        log.warning("took %s", number)
        raise ValueError(f"order {order}: {number} refused, token {token!r}") from error
