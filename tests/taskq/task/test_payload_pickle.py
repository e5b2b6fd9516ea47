"""Pickled arguments: only where a site opts in, and never un-pickled unless it signed them."""

from __future__ import annotations

import base64
import pickle
import random

import pytest
from django.core import signing
from django.core.exceptions import ImproperlyConfigured

from stress.project.shop.models import Order
from taskq.models import Task
from taskq.task import payload
from taskq.task.payload import PayloadError, decode, encode
from taskq.testing import assert_enqueued, run_all
from tests.project.lab import tasks as lab


@pytest.fixture
def pickles(settings):
    settings.TASKQ = {"SERIALIZER": "pickle"}


class Explosive:
    """Leaves a mark when somebody un-pickles it."""

    went_off = False

    def __reduce__(self):
        return setattr, (Explosive, "went_off", True)


@pytest.fixture(autouse=True)
def _nothing_went_off():
    Explosive.went_off = False


def test_pickle_carries_what_json_cannot(pickles):
    value = {"set": {1, 2}, "tuple": (1, (2,)), "bytes": b"\0\xff", 5: 1j}
    args, kwargs = decode(encode((value,), {"again": value}))
    assert (args, kwargs) == ([value], {"again": value})
    assert type(args[0]["tuple"]) is tuple


def test_pickle_is_stored_as_plain_text(pickles):
    text = encode([b"\0\xff"], {})
    assert text.startswith("pickle:")
    assert text.isascii()
    assert text.isprintable()


def test_what_cannot_be_pickled_is_refused(pickles):
    with pytest.raises(PayloadError, match="the arguments cannot be pickled: "):
        encode([lambda: None], {})


def test_error_while_pickling_is_a_payload_error(pickles):
    class Grumpy:
        def __reduce__(self):
            raise KeyError("no")

    with pytest.raises(PayloadError, match="cannot be pickled"):
        encode([Grumpy()], {})


def test_json_is_the_default(settings):
    settings.TASKQ = {}
    with pytest.raises(PayloadError, match="JSON cannot carry"):
        encode([{1, 2}], {})


def test_site_that_pickles_reads_json_as_well(pickles):
    assert decode("[[1],{}]") == ([1], {})


def test_pickle_is_refused_by_a_site_that_did_not_opt_in(pickles, settings):
    text = encode([Explosive()], {})
    settings.TASKQ = {}
    with pytest.raises(
        PayloadError, match=r"are pickled, and TASKQ\['SERIALIZER'\] is not 'pickle'"
    ):
        decode(text)
    assert not Explosive.went_off


BODY = base64.b64encode(pickle.dumps([[Explosive()], {}])).decode()
OTHER_KEY = signing.Signer(key="another", salt="taskq.payload").sign(BODY)
OTHER_SALT = signing.Signer(key="for tests and demos only", salt="sessions").sign(BODY)


@pytest.mark.parametrize(
    "forged",
    [BODY, f"{BODY}:", f"{BODY}:AAAA", OTHER_KEY, OTHER_SALT, "", ":", "é", "\0"],
    ids=["unsigned", "empty", "wrong", "other key", "other salt", "nothing", "colon", "é", "nul"],
)
def test_forged_pickle_is_refused_before_it_is_unpickled(pickles, forged):
    with pytest.raises(PayloadError, match=r"the signature of the stored arguments is wrong: .*"):
        decode(f"pickle:{forged}")
    assert not Explosive.went_off


def test_modified_pickle_is_refused_before_it_is_unpickled(pickles):
    text = encode([Explosive()], {})
    chance = random.Random(20304)
    for _ in range(200):
        place = chance.randrange(len("pickle:"), len(text))
        changed = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
        with pytest.raises(PayloadError, match="signature"):
            decode(changed)
    assert not Explosive.went_off
    decode(text)
    assert Explosive.went_off


def test_pickle_survives_a_new_secret_key(pickles, settings):
    text = encode([{1}], {})
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "new"
    assert decode(text) == ([{1}], {})
    assert encode([{1}], {}) != text
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(PayloadError, match="keep the old one in SECRET_KEY_FALLBACKS"):
        decode(text)


def signed(value):
    body = base64.b64encode(value).decode()
    return payload.PICKLED + signing.Signer(salt="taskq.call:").sign(body)


def test_the_pickle_of_one_task_is_none_of_another(pickles):
    text = encode([Explosive()], {}, task="shop.tasks.greet")
    for other in ("shop.tasks.refund", ""):
        with pytest.raises(PayloadError, match="they are of a task of another name"):
            decode(text, other)
    assert not Explosive.went_off
    decode(text, "shop.tasks.greet")
    assert Explosive.went_off


def test_the_pickle_of_a_result_is_none_of_a_call(pickles):
    text = payload.encode_result({1}, "a")
    assert payload.decode_result(text, "a") == {1}
    with pytest.raises(PayloadError, match="signature"):
        decode(text, "a")
    with pytest.raises(PayloadError, match="signature"):
        payload.decode_result(encode([{1}], {}, task="a"), "a")


@pytest.mark.django_db
def test_a_row_with_the_pickle_of_another_task_fails(pickles):
    lab.quick.delay({1})
    Task.objects.update(name=lab.nap.name)
    run_all(propagate=False)
    assert "they are of a task of another name" in Task.objects.failed().get().error


@pytest.mark.django_db
def test_pickles_go_all_the_way(pickles):
    sent = lab.add.delay((1,), (2,))
    lab.add.delay_many([({3}, 4), ((5,), (6,))])
    assert_enqueued(lab.add, args=[{3}, 4])
    run_all(propagate=False)
    assert sent.get(timeout=0) == (1, 2)
    assert "unsupported operand" in Task.objects.failed().get().error  # {3} + 4


def test_error_while_unpickling_is_a_payload_error(pickles):
    missing = pickle.dumps(Order).replace(b"Order", b"Gone5")
    for body in (missing, b"", b"nonsense", pickle.dumps([[1], {}])[:-3]):
        with pytest.raises(PayloadError, match="the stored arguments cannot be un-pickled: "):
            decode(signed(body))


@pytest.mark.parametrize("value", [None, [], [(), {}, 1], ["ab", {}], [{}, []], [1, 2], "ab"])
def test_pickle_of_another_shape_is_refused(pickles, value):
    with pytest.raises(PayloadError, match="not of the form"):
        decode(signed(pickle.dumps(value)))


def test_other_serializers_are_refused(settings):
    settings.TASKQ = {"SERIALIZER": "yaml"}
    with pytest.raises(ImproperlyConfigured, match=r"TASKQ\['SERIALIZER'\] is 'yaml': use"):
        encode([], {})
