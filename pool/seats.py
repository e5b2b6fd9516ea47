"""All the seats of a pool: who sits in them, and room for more."""

from collections.abc import Iterator

from pool.child import Role
from pool.scoreboard import Scoreboard, State
from pool.seat import Seat


class Seating:
    """The seats, each with a slot of the scoreboard."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._scoreboard = scoreboard
        self._seats: list[Seat] = []

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._seats)

    def __len__(self) -> int:
        return len(self._seats)

    def occupied(self) -> Iterator[Seat]:
        """Those in which a child sits."""
        return (seat for seat in self._seats if seat.pid)

    def of(self, pid: int) -> Seat | None:
        """That in which this child sits."""
        return next((seat for seat in self._seats if seat.pid == pid), None)

    def workers(self) -> list[Seat]:
        """Those of roles of which there may be more or fewer."""
        return [seat for seat in self._seats if seat.role.scalable]

    def strength(self) -> int:
        """How many workers there are to be."""
        return sum(not seat.leaving for seat in self.workers())

    def add(self, role: Role) -> bool:
        """One seat more; False when the scoreboard has no room for it."""
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
        """Whether no child has work, and none can be late with anything before then: what it
        begins meanwhile, it begins under a lease that lasts for longer."""
        return all(
            seat.slot.state == State.IDLE
            and seat.slot.lease_is_good(until)
            and not seat.out_of_patience(until)
            for seat in self.occupied()
        )

    def wake_support(self) -> None:
        """Have the support roles look at what has happened."""
        for seat in self.occupied():
            if seat.role.support:
                seat.slot.wake()
