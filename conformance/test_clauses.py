"""The register of clauses and the checks that cite it fit each other."""

import re

from conformance.catalogue import ALL_CHECKS
from conformance.clauses import read_clauses

CLAUSES = read_clauses()
CITED = {clause for check in ALL_CHECKS for clause in check.clauses}


def test_every_claimed_clause_is_judged_by_a_check() -> None:
    assert not [clause.id for clause in CLAUSES.values() if clause.claimed and clause.id not in CITED]


def test_checks_cite_only_clauses_of_the_register() -> None:
    assert not CITED - CLAUSES.keys()


def test_a_clause_that_is_not_claimed_says_why() -> None:
    assert not [clause.id for clause in CLAUSES.values() if clause.claimed == bool(clause.reason)]


def test_ids_say_text_part_and_number() -> None:
    assert not [name for name in CLAUSES if not re.fullmatch(r"[IEX]-(EP|SE|MS|CL|SSE|LAY)-\d\d", name)]


def test_a_clause_stands_in_one_place_and_words() -> None:
    places = [(clause.source, clause.text, clause.id.split("-")[1]) for clause in CLAUSES.values()]
    assert len(set(places)) == len(places)


def test_check_ids_are_unique() -> None:
    assert len({check.id for check in ALL_CHECKS}) == len(ALL_CHECKS)


def test_a_check_cites_clauses_of_each_protocol_it_is_for_or_of_none() -> None:
    """A check that stands for a clause in one protocol and for nothing in the other is a hole in the register."""
    holes = [
        (check.id, protocol)
        for check in ALL_CHECKS
        if check.clauses
        for protocol in check.protocols
        if not check.clauses_for(protocol) and (check.id, protocol) not in ONE_SIDED
    ]
    assert not holes


ONE_SIDED = {
    ("A-07", "whep"),  # WHEP has no DTLS clause: RFC 8842 alone asks
    ("N-14", "whep"),  # only WHIP's text mentions problem details
}
