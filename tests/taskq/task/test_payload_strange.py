"""Stored arguments that are not ours: each text gives arguments or a PayloadError."""

from __future__ import annotations

import json
import math
import random

import pytest

from taskq.task.payload import TAG, PayloadError, decode, encode
from tests.taskq.payloads import random_value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nonsense",
        "[[],{}",
        "[[],{}]]",
        "[[1,],{}]",
        "[['a'],{}]",
        "[[],{}]\0",
        "[[01],{}]",
        '[["\ud800],{}]',
        f"[[{'9' * 5000}],{{}}]",
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
    ids=lambda text: repr(text)[:20],
)
def test_broken_json_is_refused(text):
    with pytest.raises(PayloadError, match="the stored arguments are not JSON: "):
        decode(text)


@pytest.mark.parametrize("text", ["[[1],{}]", " [[1],{}]", "[[1],{}]\n", "\t[ [1] , {} ] "])
def test_white_space_around_arguments_is_no_harm(text):
    """Nobody but a person writes it."""
    assert decode(text) == ([1], {})


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "1",
        '"text"',
        "{}",
        "[]",
        "[[]]",
        "[[],[]]",
        "[{},{}]",
        "[{},[]]",
        "[[],{},[]]",
        "[[],{},null]",
        "[[],[],{}]",
        "[[],{},{},{}]",
        "[[],null]",
        "[1,{}]",
        '["ab",{}]',
        '{"args":[],"kwargs":{}}',
        '[[],{"$taskq":"date","value":"2030-01-02"}]',
        '{"$taskq":"dict","value":[]}',
    ],
)
def test_json_of_another_shape_is_refused(text):
    with pytest.raises(PayloadError, match=r"not of the form \[\[…\], {…}\]"):
        decode(text)


@pytest.mark.parametrize(
    "tag", ["datetime", "date", "time", "timedelta", "decimal", "uuid", "dict"]
)
@pytest.mark.parametrize(
    "value",
    [
        "null",
        "1",
        "-1.5",
        "true",
        '"x"',
        "[1]",
        "[[1]]",
        '["ab","c"]',
        "{}",
        '{"a":1}',
        "NaN",
        "[[[],1]]",
    ],
)
def test_tagged_value_of_another_type_gives_a_payload_error_or_a_value(tag, value):
    try:
        args, kwargs = decode(f'[[{{"$taskq":"{tag}","value":{value}}}],{{}}]')
    except PayloadError:
        return
    assert (len(args), kwargs) == (1, {})


@pytest.mark.parametrize(
    "found",
    [
        '{"$taskq":"nothing","value":1}',
        '{"$taskq":"date"}',
        '{"$taskq":1,"value":1}',
        '{"$taskq":[],"value":1}',
        '{"$taskq":{"$taskq":"date"},"value":1}',
        '{"$taskq":"uuid","value":5}',
        '{"$taskq":"date","value":"2030-13-01"}',
        '{"$taskq":"decimal","value":"1.2.3"}',
        '{"$taskq":"timedelta","value":[1e300,0,0]}',
        '{"$taskq":"timedelta","value":[1,2,3,4,5,6,7,8]}',
        '{"$taskq":"dict","value":5}',
        '{"$taskq":"dict","value":[[[],1]]}',
        '{"$taskq":"dict"}',
    ],
)
def test_tagged_value_that_makes_no_sense_is_refused(found):
    with pytest.raises(PayloadError, match=r"the value tagged .* cannot be read"):
        decode(f"[[{found}],{{}}]")


def test_mangled_text_gives_arguments_or_a_payload_error():
    chance = random.Random(20302)
    texts = [encode([random_value(chance)], {"a": random_value(chance)}) for _ in range(60)]
    alphabet = '[]{}",:0123456789.-+eE\\utfnaluse$skqvdictm \0é\ud800NI'
    refused = 0
    for _ in range(6000):
        text = list(chance.choice(texts)[:2000])
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(text) + 1)
            text[place : place + chance.randrange(3)] = chance.choice(["", *alphabet])
        refused += not decodes("".join(text))
    assert 1000 < refused < 6000


def test_random_json_gives_arguments_or_a_payload_error():
    chance = random.Random(20303)
    leaves = [
        None,
        True,
        -1,
        10**20,
        1.5,
        math.nan,
        math.inf,
        "",
        "x",
        "2030-01-02",
        "1E+5",
        "\ud800",
    ]
    tags = ["datetime", "date", "time", "timedelta", "decimal", "uuid", "dict", "x", None, 5]

    def grow(depth):
        kind = chance.randrange(4 if depth < 4 else 1)
        if kind == 0:
            return chance.choice(leaves)
        if kind == 1:
            return [grow(depth + 1) for _ in range(chance.randrange(5))]
        if kind == 2:
            return {chance.choice(["a", TAG, "value"]): grow(depth + 1) for _ in range(3)}
        return {TAG: chance.choice(tags), "value": grow(depth + 1)}

    outcomes = {decodes(json.dumps([[grow(0)], {"a": grow(0)}])) for _ in range(3000)}
    assert outcomes == {True, False}


def decodes(text):
    """Whether it gives arguments; anything but these or a PayloadError fails the test."""
    try:
        args, kwargs = decode(text)
    except PayloadError:
        return False
    assert isinstance(args, list)
    assert isinstance(kwargs, dict)
    return True
