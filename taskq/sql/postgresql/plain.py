"""Whether a statement can leave anything behind in its session.

Nearly all statements of tasks cannot: they read and write rows. Resetting a session after such a
task would cost more than running the task.
"""

from __future__ import annotations

import functools
import re

#: Bytes of a statement that are searched. A longer statement counts as one that may call anything.
LENGTH = 8192
#: Bytes that hold a name and the white space behind it. A longer name counts as unknown.
NAME = 32

_READS_OR_WRITES = re.compile(
    rb"\s*(?:SELECT|UPDATE|DELETE|SAVEPOINT|RELEASE|ROLLBACK|(INSERT\s+INTO\s+[\w.\"$]+\s*\(?))",
    re.IGNORECASE,
).match
# A comment, a second statement, or a table made by SELECT INTO.
_MORE = re.compile(rb";|--|/\*|\bINTO\b", re.IGNORECASE).search
_NAME = re.compile(rb"[\w.$\"]+\Z").search

# Words that may stand before a parenthesis: words of SQL, types, and functions of PostgreSQL that
# Django's ORM calls. None of them changes a session.
_HARMLESS = frozenset(
    b"""
    all and any array as between by case conflict distinct else except exists filter from group
    having ilike in intersect interval is join lateral like limit not offset on or order over
    partition returning row select set some then union using values when where within
    bit char decimal numeric time timestamp timestamptz varbit varchar
    avg bool_and bool_or count max min stddev_pop stddev_samp sum var_pop var_samp array_agg
    json_agg jsonb_agg string_agg
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank
    row_number
    abs acos asin atan atan2 cast ceil ceiling coalesce cos cot degrees exp floor greatest least
    ln log mod nullif pi power radians random round sign sin sqrt tan trunc
    ascii btrim char_length chr concat concat_ws left length lower lpad ltrim md5 position
    regexp_replace repeat replace reverse right rpad rtrim sha224 sha256 sha384 sha512 strpos
    substr substring to_char translate trim upper
    age clock_timestamp date_part date_trunc extract make_date make_interval now
    statement_timestamp timezone transaction_timestamp
    array_length array_position cardinality json_build_object jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_extract_path jsonb_extract_path_text jsonb_set
    jsonb_typeof to_jsonb unnest gen_random_uuid
    plainto_tsquery setweight to_tsquery to_tsvector ts_headline ts_rank websearch_to_tsquery
    """.split()
)


@functools.lru_cache(maxsize=512)
def leaves_nothing(statement: bytes) -> bool:
    """Whether this only reads or writes rows, and calls only functions known to be harmless.

    A text inside of it that looks like a call makes the answer False. It never makes it True.
    Functions that a trigger or a view calls are not noticed.
    """
    if len(statement) > LENGTH or (begins := _READS_OR_WRITES(statement)) is None:
        return False
    # In an INSERT, the columns stand in parentheses behind the table's name.
    rest = statement[begins.end() if begins[1] else 0 :]
    return _MORE(rest) is None and all(map(_is_harmless, rest.split(b"(")[:-1]))


def _is_harmless(before: bytes) -> bool:
    """Whether a parenthesis behind this opens no call, or the call of a harmless function."""
    name = _NAME(before.rstrip()[-NAME:])
    return name is None or name[0].lower() in _HARMLESS
