"""All the seats of a pool: the children in them, and room for more."""

from collections.abc import Iterator

from pool.child import Role
from pool.scoreboard import Scoreboard
from pool.seat import Seat
from pool.slot import Slot, State


class Seating:
    """The seats of a pool. Each has a slot of the scoreboard."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._scoreboard = scoreboard
        self._seats: list[Seat] = []

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._seats)

    def __len__(self) -> int:
        return len(self._seats)

    def occupied(self) -> Iterator[Seat]:
        """The seats that have a child."""
        return (seat for seat in self._seats if seat.pid)

    def of(self, pid: int) -> Seat | None:
        """The seat of the child with this pid."""
        return next((seat for seat in self._seats if seat.pid == pid), None)

    def workers(self) -> list[Seat]:
        """The seats of scalable roles."""
        return [seat for seat in self._seats if seat.role.scalable]

    def strength(self) -> int:
        """How many workers the pool should have."""
        return sum(not seat.leaving for seat in self.workers())

    def add(self, role: Role) -> bool:
        """Add a seat. Returns False when the scoreboard has no room for it."""
        taken = {seat.slot.index for seat in self._seats}
        free = [slot for slot in self._scoreboard.slots if slot.index not in taken]
        if not free:
            return False
        numbers = {seat.number for seat in self._seats if seat.role is role}
        number = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
        self._seats.append(Seat(role, number, free[0]))
        return True

    def remove(self, seat: Seat) -> None:
        self._seats.remove(seat)

    def at_rest(self, until: int) -> bool:
        """Whether no child has work and no deadline can pass before ``until``.

        Work that begins meanwhile begins under a lease that lasts for longer.
        """
        return all(
            (seat.slot.state == State.ASIDE or _rests(seat.slot, until))
            and not seat.out_of_patience(until)
            for seat in self.occupied()
        )

    def wake_support(self) -> None:
        """Wake the children of support roles, so that they look at the scoreboard."""
        for seat in self.occupied():
            if seat.role.support:
                seat.slot.wake()


def _rests(slot: Slot, until: int) -> bool:
    return slot.state == State.IDLE and slot.lease_is_good(until)
