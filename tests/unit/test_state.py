"""Every state with every input."""

import itertools

import pytest

from whep_server.signaling.state import TABLE, IllegalInputError, Input, State, step


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Input)))
def test_the_table_decides(state, event):
    if event in TABLE[state]:
        assert step(state, event) is TABLE[state][event]
    else:
        with pytest.raises(IllegalInputError):
            step(state, event)


def test_a_closed_session_stays_closed():
    assert TABLE[State.CLOSED] == {}
    assert all(State.CLOSED in TABLE[state].values() for state in State if state is not State.CLOSED)
