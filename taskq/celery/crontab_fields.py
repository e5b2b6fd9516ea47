"""The fields of Celery's ``crontab()``: what a person gives, as numbers, and as cron's text."""

from __future__ import annotations

from collections.abc import Iterable

#: What a field may be: a number, a text such as ``"1-5,*/15"``, or numbers.
Cronspec = int | str | Iterable[int]

_DAYS = dict(zip("sun mon tue wed thu fri sat".split(), range(7), strict=True))
_MONTHS = dict(
    zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13), strict=True)
)


class ParseException(Exception):
    """A text has the form of no field."""


class crontab_parser:
    """Reads the text of a field, as Celery does. A range may wrap around: ``fri-mon``.

    Args:
        max_: How many values the field can have.
        min_: The first of them.
    """

    ParseException = ParseException

    def __init__(self, max_: int = 60, min_: int = 0) -> None:
        self.max_ = max_
        self.min_ = min_

    def parse(self, spec: str) -> set[int]:
        """The numbers that a text stands for.

        Raises:
            ParseException: A part of it is empty.
            ValueError: A number is out of range, or a word is no name of a day or a month.
        """
        return {number for part in spec.split(",") for number in self._part(part)}

    def _part(self, part: str) -> list[int]:
        if not part:
            raise ParseException("empty part")
        body, slash, step = part.partition("/")
        if slash and not step:
            raise ParseException("empty filter")
        if body == "*":
            numbers = list(range(self.min_, self.min_ + self.max_))
        elif "-" in body or not slash:
            numbers = self._range(body)
        else:
            raise ValueError(f"{part!r}: a step needs a range or a star before it")
        return numbers[:: int(step)] if slash else numbers

    def _range(self, body: str) -> list[int]:
        first, dash, last = body.partition("-")
        if not first:
            raise ParseException("negative numbers not supported")
        begin = self._number(first)
        end = self._number(last) if dash else begin
        if end < begin:
            return [*range(begin, self.min_ + self.max_), *range(self.min_, end + 1)]
        return list(range(begin, end + 1))

    def _number(self, text: str) -> int:
        short = text[:3].lower()
        try:
            number = int(text)
        except ValueError:
            found = _MONTHS.get(short, _DAYS.get(short))
            if found is None:
                raise ValueError(
                    f"{text!r} is no number, no month and no day of the week"
                ) from None
            number = found
        check(number, self.max_, self.min_)
        return number


def check(number: int, max_: int, min_: int) -> None:
    """Raise ValueError unless a field can have this number."""
    if not min_ <= number < min_ + max_:
        raise ValueError(f"{number} is out of range: give {min_} to {min_ + max_ - 1}")


def expand(spec: Cronspec, max_: int, min_: int = 0) -> set[int]:
    """The numbers of a field.

    Raises TypeError, ValueError or ParseException for what is no field.
    """
    if isinstance(spec, str):
        return crontab_parser(max_, min_).parse(spec)
    if isinstance(spec, int):
        numbers = {spec}
    elif isinstance(spec, Iterable):
        numbers = set(spec)
    else:
        raise TypeError(f"{spec!r}: give a number, a text or a list of numbers")
    for number in numbers:
        check(number, max_, min_)
    return numbers


def in_cron(given: Cronspec, numbers: set[int], max_: int, min_: int = 0) -> str:
    """The field in cron's text.

    It begins with a star where the given text does: a cron counts real time through a change of
    the clocks then.
    """
    everything = range(min_, min_ + max_)
    if numbers == set(everything):
        return "*"
    if isinstance(given, str):
        body, _slash, step = given.partition("/")
        if body == "*" and step.isdigit():
            return f"*/{step}"
    return ",".join(_spans(sorted(numbers)))


def _spans(numbers: list[int]) -> Iterable[str]:
    first = last = numbers[0]
    for number in [*numbers[1:], None]:
        if number is not None and number == last + 1:
            last = number
            continue
        yield str(first) if first == last else f"{first}-{last}"
        if number is not None:
            first = last = number
