"""All that the fuzzers ever learned, and all that ever broke something, once more and without a fuzzer."""

import pytest

from tests.fuzz.harnesses import HARNESSES, corpus
from tests.strategies import OFFERS


@pytest.mark.parametrize("name", HARNESSES)
def test_what_was_ever_found_breaks_nothing_now(name):
    inputs = corpus(name)
    assert inputs
    with HARNESSES[name]() as harness:
        for path in inputs:
            try:
                harness(path.read_bytes())
            except Exception as error:
                raise AssertionError(f"{path.parent.name}/{path.name}") from error


@pytest.mark.parametrize(("name", "suffix"), [("offer", "sdp"), ("fragment", "sdpfrag")])
def test_what_clients_send_breaks_nothing(name, suffix):
    with HARNESSES[name]() as harness:
        for path in OFFERS.rglob(f"*.{suffix}"):
            harness(path.read_bytes())
