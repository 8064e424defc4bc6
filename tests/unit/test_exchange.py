"""The header lines of WHEP replies."""

from whep_server.web import exchange

LINKS = ['<stun:a>; rel="ice-server"', '<stun:b>; rel="ice-server"']
PREFLIGHT = {"origin": "https://a.example", "access-control-request-method": "POST"}


def named(lines: exchange.HeaderLines, name: str) -> list[str]:
    return [value for key, value in lines if key == name]


def test_a_created_session_has_one_link_line_a_server():
    lines = exchange.created_headers("/whep/demo/x", '"tag"', LINKS)
    assert named(lines, "Location") == ["/whep/demo/x"]
    assert named(lines, "ETag") == ['"tag"']
    assert named(lines, "Link") == LINKS
    assert named(lines, "Accept-Patch") == [exchange.FRAGMENT]


def test_only_a_plain_options_tells_of_ice_servers():
    assert named(exchange.options_headers({}, exchange.ENDPOINT_METHODS, LINKS), "Link") == LINKS
    assert named(exchange.options_headers({"origin": "x"}, exchange.ENDPOINT_METHODS, LINKS), "Link") == LINKS
    assert named(exchange.options_headers(PREFLIGHT, exchange.ENDPOINT_METHODS, LINKS), "Link") == []


def test_options_say_what_is_accepted_where():
    endpoint = exchange.options_headers(PREFLIGHT, exchange.ENDPOINT_METHODS, [])
    session = exchange.options_headers(PREFLIGHT, exchange.SESSION_METHODS, [])
    assert named(endpoint, "Accept-Post") == [exchange.SDP] and not named(endpoint, "Accept-Patch")
    assert named(session, "Accept-Patch") == [exchange.FRAGMENT] and not named(session, "Accept-Post")
    assert named(endpoint, "Allow") == [exchange.ENDPOINT_METHODS]
    assert named(session, "Allow") == [exchange.SESSION_METHODS]
