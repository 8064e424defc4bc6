"""The life of a viewer's or publisher's session as a table: what may happen in which state. Pure.

ANSWERED --CONNECT--> CONNECTED --LOSE/DELETE--> CLOSED
    \\----------------LOSE/DELETE/EXPIRE---------/

TRICKLE and RESTART are taken in both open states and change neither: media goes on over the old ICE session until the
new one is up, and for good where it never is.
"""

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a session stands."""

    ANSWERED = "answered"
    CONNECTED = "connected"
    CLOSED = "closed"


class Input(StrEnum):
    """What can happen to a session."""

    CONNECT = "connect"
    """ICE and DTLS are up."""
    TRICKLE = "trickle"
    RESTART = "restart"
    """The peer begins a further ICE session."""
    EXPIRE = "expire"
    """The join timeout passed."""
    LOSE = "lose"
    """Consent, DTLS or the stream ended."""
    DELETE = "delete"


class IllegalInputError(ValueError):
    """The table has no entry: a mistake of ours, never a peer's."""


TABLE: Final[dict[State, dict[Input, State]]] = {
    State.ANSWERED: {
        Input.CONNECT: State.CONNECTED,
        Input.TRICKLE: State.ANSWERED,
        Input.RESTART: State.ANSWERED,
        Input.EXPIRE: State.CLOSED,
        Input.LOSE: State.CLOSED,
        Input.DELETE: State.CLOSED,
    },
    State.CONNECTED: {
        Input.TRICKLE: State.CONNECTED,
        Input.RESTART: State.CONNECTED,
        Input.LOSE: State.CLOSED,
        Input.DELETE: State.CLOSED,
    },
    State.CLOSED: {},
}


def step(state: State, event: Input) -> State:
    """The state after ``event``.

    Errors: IllegalInputError where the table has no entry.
    """
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalInputError(f"{event.value} in state {state.value}") from None
