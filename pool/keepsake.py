"""A value that outlives the process that wrote it."""

_CURRENT, _LENGTHS, _HEAD = 0, 1, 3


class Keepsake:
    """Some bytes in shared memory, with one writer at a time.

    There are two places. A new value is written to the place that is not in use, and one word then
    switches to it. So a writer that dies in between has changed nothing. Memory that no value has
    needed yet takes no room.
    """

    def __init__(self, memory: memoryview) -> None:
        self._head = memory[: _HEAD * 8].cast("q")
        self.room = (len(memory) - _HEAD * 8) // 2
        self._places = [memory[_HEAD * 8 + place * self.room :][: self.room] for place in range(2)]

    @staticmethod
    def size(room: int) -> int:
        """The bytes of memory for values of at most so many bytes."""
        return _HEAD * 8 + 2 * room

    def write(self, value: bytes) -> None:
        """Replace the value. Raises ValueError for one that is too long."""
        if len(value) > self.room:
            raise ValueError(f"{len(value)} bytes do not fit into {self.room}")
        place = 1 - self._head[_CURRENT]
        self._places[place][: len(value)] = value
        self._head[_LENGTHS + place] = len(value)
        self._head[_CURRENT] = place

    def read(self) -> bytes:
        """The value; empty before the first."""
        place = self._head[_CURRENT]
        return bytes(self._places[place][: self._head[_LENGTHS + place]])
