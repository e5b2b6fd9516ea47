"""What a supervisor refuses before it starts."""

import pytest

from pool import Role, Scoreboard, Supervisor


def test_roles_that_the_scoreboard_cannot_hold_are_refused():
    roles = [Role(name="keeper", run=int), Role(name="worker", run=int, count=4, scalable=True)]
    with pytest.raises(ValueError, match="ask for 5 children and the scoreboard has room for 4"):
        Supervisor(roles, Scoreboard(4), drain_timeout=1)
    Supervisor(roles, Scoreboard(5), drain_timeout=1)
