"""Asking the port of a pool's metrics, as Prometheus and Kubernetes do."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from stress.rig.pools import Pool, wait_until

#: Seconds in which any answer must come: there is nothing that it waits for.
AT_ONCE = 60.0


def base_url(pool: Pool) -> str:
    """Where the pool serves, by its log."""
    pattern = re.compile(r"metrics +(http://\S+)/metrics")
    return wait_until(lambda: pattern.search(pool.log()), what="the log has the URL")[1]


def get(url: str, **headers: str) -> tuple[int, str]:
    """The status and the body."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=AT_ONCE) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def probe(pool: Pool, path: str) -> tuple[int, dict[str, Any]]:
    status, body = get(f"{base_url(pool)}/{path}")
    return status, json.loads(body)


def families(pool: Pool) -> dict[str, Metric]:
    """What /metrics says, by the library's own parser: name of a family -> the family."""
    status, body = get(f"{base_url(pool)}/metrics")
    assert status == 200
    return {family.name: family for family in text_string_to_metric_families(body)}


def value(pool: Pool, sample: str, **labels: str) -> float:
    """The one value of a sample with these labels among its own."""
    (found,) = [
        each.value
        for family in families(pool).values()
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    ]
    return found
