"""Which queues a pool serves."""

from __future__ import annotations

import pytest

from taskq.task.queues import Queues
from taskq.values import check_queue


@pytest.mark.parametrize("text", [None, "", "*", "mail,*", "*,mail"])
def test_none_means_all(text):
    queues = Queues.parse(text)
    assert queues == Queues()
    assert queues.listed is None
    assert queues.admit("anything")
    assert str(queues) == "all"


def test_names_are_listed():
    queues = Queues.parse("mail,default")
    assert queues.names == ("mail", "default")
    assert queues.listed == ["mail", "default"]
    assert str(queues) == "mail, default"


def test_spaces_around_a_name_are_dropped():
    assert Queues.parse(" mail , default ") == Queues.parse("mail,default")
    assert Queues.parse("two words").names == ("two words",)


def test_only_named_queues_are_admitted():
    queues = Queues.parse("mail,default")
    assert queues.admit("mail")
    assert queues.admit("default")
    assert not queues.admit("mailing")
    assert not queues.admit("Mail")
    assert not queues.admit("")


def test_star_at_the_end_matches_a_prefix():
    queues = Queues.parse("mail*")
    assert queues.prefixes == ("mail",)
    assert [name for name in ("mail", "mail.out", "mai", "email", "") if queues.admit(name)] == [
        "mail",
        "mail.out",
    ]
    assert str(queues) == "mail*"


def test_names_and_prefixes_may_be_mixed():
    queues = Queues.parse("default,mail*,sms*")
    assert all(map(queues.admit, ["default", "mail.in", "sms"]))
    assert not any(map(queues.admit, ["defaults", "fax"]))


@pytest.mark.parametrize(
    "text",
    ["*", "mail", "mail,default", "default,mail*,sms*", "*,*-mail,*-sms*", "mail*,*-mailing"],
)
def test_what_is_written_is_read_as_the_same(text):
    assert Queues.parse(text).written == text


def without(text, left_out):
    return Queues.parse(text).without(Queues.parse(left_out))


@pytest.mark.parametrize(
    ("text", "left_out", "admitted", "said"),
    [
        ("*", "mail,sms*", ["fax", "mailing"], "all but mail, sms*"),
        ("mail*", "mail", ["mailing"], "mail* but mail"),
        ("mail*", "fax", ["mail", "mailing"], "mail* but fax"),
        ("fax,mail*,smsa*", "mail*,sms*", ["fax"], "fax"),
    ],
)
def test_queues_are_left_out(text, left_out, admitted, said):
    queues = without(text, left_out)
    every = ["fax", "mail", "mailing", "sms", "smsa"]
    assert [queue for queue in every if queues.admit(queue)] == admitted
    assert str(queues) == said


def test_of_names_the_rest_is_listed():
    """A claim can name them then, and need not look for lanes."""
    assert without("fax,mail", "mail") == Queues.parse("fax")
    assert without("*", "mail").listed is None
    assert without("*", "mail").must_be_looked_for


@pytest.mark.parametrize(
    ("text", "left_out"), [("*", "*"), ("mail", "mail"), ("mail", "ma*"), ("mail*", "ma*")]
)
def test_leaving_all_out_is_refused(text, left_out):
    with pytest.raises(ValueError, match="no queue is left to serve"):
        without(text, left_out)


def test_prefixes_cannot_be_listed():
    """The table must be asked which queues there are."""
    assert Queues.parse("default,mail*").listed is None


@pytest.mark.parametrize("text", [" ", ",", "mail,", ",mail", "mail,,default"])
def test_empty_name_is_refused(text):
    with pytest.raises(ValueError, match="has an empty queue name; write it like mail,default"):
        Queues.parse(text)


@pytest.mark.parametrize("text", ["ma*il", "*mail", "mail**", "**", "*.*"])
def test_star_elsewhere_is_refused(text):
    with pytest.raises(ValueError, match="star"):
        Queues.parse(text)


def test_name_too_long_is_refused():
    with pytest.raises(ValueError, match="give 1 to 64 characters"):
        Queues.parse("default," + "q" * 65)


@pytest.mark.parametrize("queue", ["default", "q" * 64, "a b", "ü", "a.b"])
def test_good_queue(queue):
    check_queue(queue)


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("", "queue is '': give 1 to 64 characters"),
        ("q" * 65, "give 1 to 64 characters"),
        ("nul\0", "give 1 to 64 characters"),
        ("a,b", "queue is 'a,b': a comma or a star cannot be in it, -Q uses them"),
        ("mail*", "a comma or a star"),
    ],
)
def test_bad_queue_is_refused(queue, message):
    with pytest.raises(ValueError, match=message):
        check_queue(queue)


@pytest.mark.parametrize("queue", [None, 5, b"mail", ["mail"]])
def test_queue_of_another_type_is_refused(queue):
    with pytest.raises(TypeError, match="give its name as a str"):
        check_queue(queue)
