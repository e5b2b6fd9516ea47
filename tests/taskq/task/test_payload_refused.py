"""Arguments that no text can carry are refused by their path, and too long ones by their size."""

from __future__ import annotations

import collections
import datetime
import os
from zoneinfo import ZoneInfo

import pytest

from stress.project.shop.models import Order
from taskq.task.payload import TAG, PayloadError, encode, encode_result

# What cannot be encoded


class Thing:
    def __repr__(self):
        return "<a thing>"


THING = Thing()


@pytest.mark.parametrize(
    ("args", "kwargs", "path"),
    [
        ([THING], {}, "args[0]"),
        ([1, THING], {}, "args[1]"),
        ([{"a": [1, 2, THING]}], {}, "args[0]['a'][2]"),
        ([1, {"a": ({"b": THING},)}], {}, "args[1]['a'][0]['b']"),
        ([], {"user": THING}, "kwargs['user']"),
        ([], {"a": {"b": [THING]}}, "kwargs['a']['b'][0]"),
        ([{1: THING}], {}, "args[0][1]"),
        ([THING], {"a": THING}, "args[0]"),
        ([{TAG: 1, "a": THING}], {}, "args[0]['a']"),
    ],
)
def test_value_that_cannot_be_encoded_is_named_by_its_path(args, kwargs, path):
    with pytest.raises(PayloadError) as caught:
        encode(args, kwargs)
    assert str(caught.value).startswith(f"{path} is of type Thing, which JSON cannot carry (")
    assert str(caught.value).endswith("; pass an id or plain data instead")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
        (object, "type"),
        (1j, "complex"),
        (len, "builtin_function_or_method"),
        (collections.deque(), "deque"),
        (Order(number=1), "Order"),
        ({(1, 2): 3}, "dict"),
        ({datetime.date(2030, 1, 2): 3}, "dict"),
        (10**5000, "int"),
        (iter([]), "list_iterator"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_types_that_cannot_be_encoded(value, kind):
    with pytest.raises(PayloadError, match=rf"^args\[0\] is of type {kind}, which JSON cannot"):
        encode([value], {})


def test_time_whose_offset_depends_on_the_day_is_refused():
    """Its text has no offset: it would come back as a naive time."""
    with pytest.raises(PayloadError, match=r"args\[0\] is of type time, .*offset from UTC"):
        encode([datetime.time(12, tzinfo=ZoneInfo("Europe/Berlin"))], {})


def test_list_that_contains_itself_is_refused():
    loop: list = [1]
    loop.append(loop)
    with pytest.raises(PayloadError, match=r"^args\[0\]\[1\] is of type list, .*Circular"):
        encode([loop], {})


def test_dict_that_contains_itself_is_refused():
    loop: dict = {}
    loop["a"] = [loop]
    with pytest.raises(
        PayloadError, match=r"^kwargs\['x'\]\['a'\]\[0\] is of type dict, .*Circular"
    ):
        encode([], {"x": loop})


@pytest.mark.parametrize("tag", [TAG, "a"])
def test_nesting_too_deep_is_refused(tag):
    deep: list = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(PayloadError, match="which JSON cannot carry"):
        encode([{tag: deep}], {})


def test_payload_error_is_a_value_error():
    assert issubclass(PayloadError, ValueError)


# The limit


def test_payload_up_to_the_limit_is_taken(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    assert len(encode(["x" * 91], {})) == 100
    with pytest.raises(
        PayloadError, match=r"take 101 bytes, more than TASKQ\['MAX_PAYLOAD'\] \(100\); store"
    ):
        encode(["x" * 92], {})


def test_limit_counts_bytes_not_characters(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    with pytest.raises(PayloadError, match="take 189 bytes"):
        encode(["é" * 30], {})


def test_limit_is_256_kib_by_default():
    assert encode(["x" * (256 * 1024 - 9)], {})
    with pytest.raises(PayloadError, match=r"take 262145 bytes.*\(262144\)"):
        encode(["x" * (256 * 1024 - 8)], {})


def test_limit_holds_for_pickles(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 1000, "SERIALIZER": "pickle"}
    with pytest.raises(PayloadError, match="more than TASKQ"):
        encode([os.urandom(1000)], {})


def test_a_result_that_is_too_large_is_called_a_result(settings):
    settings.TASKQ = {"MAX_PAYLOAD": 100}
    with pytest.raises(PayloadError, match="cannot be kept: the result takes 1009 bytes, more"):
        encode_result("x" * 1000)
