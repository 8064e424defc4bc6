"""Our own server as a target: the only place where this package meets the rest of the repository, and only its tests'.

Two servers, one as it comes and one to the letter, are asked side by side, for most of a run is spent waiting for
consent to run out; in opposite order, so that only one of them plays at a time: the tester has to keep up, too.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Final

import pytest

from conformance import ProtocolName
from conformance.catalogue import ALL_CHECKS
from conformance.runner import Report, chosen, run_checks
from conformance.target import Options, Target
from conformance.wire import Wire
from tests.clients.server_process import Server, running_server

TOKEN: Final = "conformance-secret"
ORDER: Final[Mapping[bool, tuple[ProtocolName, ProtocolName]]] = {False: ("whep", "whip"), True: ("whip", "whep")}
"""What is asked first: of the server as it comes, and of the one to the letter."""
MAX_S: Final = 240.0
JOIN_TIMEOUT_S: Final = "6"
"""How soon our test servers forget who never connects; by default they wait longer."""

Reports = Mapping[tuple[ProtocolName, bool], Report]
"""By protocol and whether to the letter."""


async def report_of(server: Server, protocol: ProtocolName, *, strict: bool) -> Report:
    """All checks against one endpoint of ours."""
    url = f"{server.base}/{protocol}/demo"
    options = Options(protocol, url, idle_url=url if protocol == "whep" else None, strict=strict, stress=True)
    async with Wire(token=TOKEN if strict else None) as wire:
        return await run_checks(Target(options, wire), chosen(ALL_CHECKS, protocol, (), live=True), max_s=MAX_S)


async def reports_of(servers: Mapping[bool, Server]) -> Reports:
    """The reports on both servers."""
    reports: dict[tuple[ProtocolName, bool], Report] = {}

    async def ask(server: Server, strict: bool) -> None:
        for protocol in ORDER[strict]:
            reports[protocol, strict] = await report_of(server, protocol, strict=strict)

    async with asyncio.TaskGroup() as group:
        for strict, server in servers.items():
            group.create_task(ask(server, strict), name=f"conformance, strict {strict}")
    return reports


@pytest.fixture(scope="session")
def our_reports() -> Reports:
    """What the whole tool says of our server, as it comes (False) and to the letter (True)."""
    with ExitStack() as stack:
        plain = stack.enter_context(running_server(log_name="conformance", join_timeout_s=JOIN_TIMEOUT_S))
        strict = stack.enter_context(
            running_server(
                log_name="conformance-strict",
                join_timeout_s=JOIN_TIMEOUT_S,
                watch_token=TOKEN,
                publish_token=TOKEN,
                strict="true",
            )
        )
        return asyncio.run(reports_of({False: plain, True: strict}))
