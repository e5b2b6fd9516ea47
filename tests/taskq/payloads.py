"""Values that arguments can have, and random ones made of them."""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal

from taskq.task.payload import TAG

HOURS = datetime.timezone(datetime.timedelta(hours=-5, minutes=-30))
PLAIN = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    -(10**4000),
    0.1,
    -0.0,
    1e308,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "text",
    "ümläut 日本語 🎈",
    "nul \0 and \x1f controls \x7f",
    "lone \ud800 surrogate \udfff",
    "line\u2028separator",
    "quotes \" ' and \\ backslash",
    TAG,
    [],
    {},
    [[], [{}], [[[None]]]],
    {"": {"": ""}},
    {"a": [1, {"b": [2.5, "c"]}], "ü": None, "\0": 1, "\ud800": 2},
]
TYPED = [
    datetime.datetime(2030, 1, 2, 3, 4, 5),
    datetime.datetime(2030, 1, 2, 3, 4, 5, 678901),
    datetime.datetime(2030, 1, 2, 3, 4, 5, 1, tzinfo=datetime.UTC),
    datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=HOURS),
    datetime.datetime.min,
    datetime.datetime.max,
    datetime.date(2030, 1, 2),
    datetime.date.min,
    datetime.date.max,
    datetime.time(3, 4, 5, 678901),
    datetime.time(0),
    datetime.time(3, 4, tzinfo=HOURS),
    datetime.timedelta(0),
    datetime.timedelta(days=1, seconds=2, microseconds=3),
    datetime.timedelta(microseconds=-1),
    -datetime.timedelta(days=400, hours=5),
    datetime.timedelta.max,
    datetime.timedelta.min,
    Decimal("0"),
    Decimal("-1.500"),
    Decimal("1E+400"),
    Decimal("Infinity"),
    Decimal("0.1234567890123456789012345678901234567890"),
    uuid.UUID(int=0),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
]


def random_value(chance, depth=0):
    kind = chance.randrange(3 if depth > 3 else 6)
    if kind == 0:
        return chance.choice(PLAIN)
    if kind <= 2:
        return chance.choice(TYPED)
    if kind == 3:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    keys = ["a", "b", "value", "", TAG, "dict"]
    chance.shuffle(keys)
    return {key: random_value(chance, depth + 1) for key in keys[: chance.randrange(5)]}
