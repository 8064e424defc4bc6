"""Our player and our publisher page, judged clause by clause by the conformance tool, which serves them."""

import asyncio

import pytest
from playwright.async_api import Browser, Page

from conformance import ProtocolName
from conformance.check import Outcome
from conformance.clients.hosting import Stay, visit_of
from conformance.clients.rules import verdicts
from conformance.clients.scripts import BY_NAME
from conformance.clients.witness import Visit
from tests.clients.scripted_whep import scripted_whep
from tests.clients.visit import WAIT_S
from tests.clients.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "client-token"
ROLES: dict[ProtocolName, tuple[str, str, str]] = {
    "whep": ("player", "#start", "idle"),
    "whip": ("publish", "#talk", "on"),
}
"""Page, what to click there, and the state that shows that it is connected."""


async def visit_as(page: Page, base: str, protocol: ProtocolName) -> None:
    """What a person does: come with a token, click, stay until the candidates are sent, leave."""
    path, button, state = ROLES[protocol]
    async with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        await page.goto(f"{base}/{path}/demo#token={TOKEN}")
        await page.click(button)
    await page.wait_for_selector(f"body[data-state={state}]", timeout=WAIT_S * 1000)
    await page.goto("about:blank")


@pytest.mark.parametrize("script", ["strict", "late", "redirect"])
@pytest.mark.parametrize("protocol", ROLES)
async def test_the_judge_of_clients_finds_no_fault(
    visitors: Browser, monkeypatch: pytest.MonkeyPatch, protocol: ProtocolName, script: str
):
    context = await visitors.new_context(bypass_csp=True)  # the page's own policy lets it speak to its own server only
    stay = Stay(arrive_s=WAIT_S, stay_s=WAIT_S, after_s=0.2)
    urls: list[str] = []
    try:
        async with scripted_whep(monkeypatch) as server, asyncio.TaskGroup() as group:
            await context.grant_permissions(["microphone"], origin=server.base)
            judged: asyncio.Task[Visit] = group.create_task(
                visit_of(protocol, BY_NAME[script], TOKEN, stay, 0, urls.append)
            )
            server.config[protocol] = await until(lambda: next(iter(urls), None), WAIT_S, "the judge")
            await visit_as(await context.new_page(), server.base, protocol)
    finally:
        await context.close()
    visit = judged.result()
    found = [f"{entry.rule.id} {entry.observed}" for entry in verdicts(visit, strict=True) if is_fault(entry.outcome)]
    assert found == []
    assert visit.connected


def is_fault(outcome: Outcome) -> bool:
    """Whether it is neither right nor merely not asked."""
    return outcome not in (Outcome.PASS, Outcome.SKIP, Outcome.INFO)
