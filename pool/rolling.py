"""Replacing workers one by one: the rolling restart of HUP."""

from collections import deque
from collections.abc import Iterable

from pool.seat import Seat
from pool.slot import State


class Replacement:
    """The workers that are to be replaced. Each waits until the one before it has been replaced."""

    def __init__(self) -> None:
        self._left: deque[tuple[Seat, int]] = deque()

    def begin(self, seats: Iterable[Seat]) -> int:
        """Replace the children that these seats have now. Returns how many.

        An earlier replacement that is not finished is dropped.
        """
        self._left = deque((seat, seat.slot.generation) for seat in seats)
        return len(self._left)

    def advance(self) -> None:
        """Ask the next worker to stop, once the one before it has been replaced."""
        while self._left:
            seat, generation = self._left[0]
            slot = seat.slot
            if seat.leaving or (slot.generation > generation and slot.state >= State.IDLE):
                self._left.popleft()
                continue
            if slot.generation == generation and seat.pid and not seat.asked_to_stop:
                seat.ask_to_stop()
            return
