"""Counters of a child, in memory that outlives it.

A row of counters belongs to a key, such as what the child runs. The child itself chooses the keys
and the meaning of the counters. Only the child writes its rows. A later child in the same slot goes
on with them, so a counter never goes back while the pool lives.
"""

from collections.abc import Iterator, Sequence

#: Rows of one child.
ROWS = 512
#: The row for all keys that have no row of their own. Its key is empty.
OTHERS = 0
#: Bytes of a key, and two of its length. A longer key has no row of its own.
KEY = 382
_LENGTH = 2
_LARGEST = 2**63 - 1


class Counters:
    """Rows of ``columns`` words each, and their keys.

    A row is given by its index. The number of rows goes out after the key, so a reader that sees
    the row sees its key. Memory that no row has used yet takes no room.
    """

    def __init__(self, memory: memoryview, columns: int) -> None:
        self._columns = columns
        self._keyed = memory[:8].cast("q")
        keys_end = 8 + ROWS * (_LENGTH + KEY)
        self._keys = memory[8:keys_end]
        self._words = memory[keys_end:].cast("q")
        self._rows: dict[bytes, int] = {}

    @staticmethod
    def size(columns: int) -> int:
        """The bytes of memory that this takes."""
        return 8 + ROWS * (_LENGTH + KEY) + ROWS * columns * 8

    # Called by the child

    def row(self, key: bytes) -> int:
        """The row of this key. A new key gets one."""
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._find(key)
        return row

    def add(self, row: int, amounts: Sequence[int]) -> None:
        """Add to the counters of a row. A counter stops at the largest number that it can hold."""
        words, at = self._words, row * self._columns
        for column, amount in enumerate(amounts, at):
            if amount:
                words[column] = min(words[column] + amount, _LARGEST)

    # Called by anybody

    def key(self, row: int) -> bytes:
        """The key of a row; empty for OTHERS."""
        at = row * (_LENGTH + KEY)
        length = int.from_bytes(self._keys[at : at + _LENGTH], "little")
        return bytes(self._keys[at + _LENGTH : at + _LENGTH + length])

    def read(self) -> Iterator[tuple[bytes, list[int]]]:
        """Each key that was ever counted for, with its counters. First the row of many keys."""
        for row in range(1 + self._keyed[0]):
            at = row * self._columns
            yield self.key(row), self._words[at : at + self._columns].tolist()

    def _find(self, key: bytes) -> int:
        keyed = self._keyed[0]
        for row in range(1, 1 + keyed):  # of an earlier child in this slot
            if self.key(row) == key:
                return row
        row = keyed + 1
        if len(key) > KEY or row == ROWS:
            return OTHERS
        at = row * (_LENGTH + KEY)
        self._keys[at : at + _LENGTH] = len(key).to_bytes(_LENGTH, "little")
        self._keys[at + _LENGTH : at + _LENGTH + len(key)] = key
        self._keyed[0] = row
        return row
