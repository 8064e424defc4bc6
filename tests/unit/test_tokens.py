"""Bearer tokens: what is believed, what is not, and what is told of either."""

import base64
import hmac
import json
import re
import time
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whep_server.errors import Forbidden, ServerError, Unauthorized
from whep_server.signaling.tokens import (
    EVERY,
    LEEWAY_S,
    MAX_TOKEN_CHARS,
    Grant,
    Keyring,
    Scope,
    Secret,
    is_pattern,
    parse_secrets,
    sign,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
NOW_S = 1_800_000_000
OLD, NEW, STRANGE = Secret("old", "o" * 32), Secret("new", "n" * 40), Secret("new", "x" * 40)
KEYS = Keyring([NEW, OLD])
CLAIMS = {"scope": "watch", "stream": "demo", "exp": NOW_S + 60}


def grant(*scopes: Scope, stream: str = "demo") -> Grant:
    return Grant(frozenset(scopes), stream)


def signed(key: str = NEW.key, headers: dict[str, object] | None = None, **changes: object) -> str:
    """A token as somebody else's program makes it; None leaves a claim out."""
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return jwt.encode(claims, key, "HS256", headers=headers)


def by_hand(header: object, claims: object, key: str = NEW.key) -> str:
    """A token of any JSON, signed well."""
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims)]
    signature = hmac.digest(key.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_what_is_signed_is_read_again():
    made = grant(Scope.WATCH, Scope.SPEAK, stream="lobby-*")
    assert KEYS.read(sign(NEW, made, NOW_S + 60), NOW_S) == made
    assert KEYS.read(sign(Secret("", OLD.key), made, NOW_S + 60), NOW_S) == made  # no kid: each secret is tried
    assert KEYS.read(by_hand({"alg": "HS256"}, CLAIMS), NOW_S) == grant(Scope.WATCH)


def test_a_secret_is_replaced_without_a_gap():
    token = sign(OLD, grant(Scope.WATCH), NOW_S + 60)
    assert jwt.get_unverified_header(token)["kid"] == "old"
    assert KEYS.read(token, NOW_S) and Keyring([OLD]).read(token, NOW_S)
    with pytest.raises(Unauthorized):
        Keyring([NEW]).read(token, NOW_S)


def test_times_are_held_to_with_some_leeway():
    token = sign(NEW, grant(Scope.WATCH), NOW_S + 60, not_before_s=NOW_S)
    for now_s in (NOW_S - LEEWAY_S, NOW_S, NOW_S + 60 + LEEWAY_S - 0.1):
        assert KEYS.read(token, now_s)
    for now_s, why in ((NOW_S - LEEWAY_S - 0.1, "not valid yet"), (NOW_S + 60 + LEEWAY_S, "expired")):
        with pytest.raises(Unauthorized, match=why) as refused:
            KEYS.read(token, now_s)
        assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]
    assert KEYS.read(token, NOW_S + 9999, expired_too=True)


def test_what_is_not_ours_is_refused():
    good = signed()
    header, claims, signature = good.split(".")
    richer = signed(scope="admin", stream="*").split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for token in (
        f"{header}.{richer}.{signature}",
        f"{header}.{claims}.",
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        jwt.encode(CLAIMS, "k" * 64, "HS512"),
        jwt.encode(CLAIMS, NEW.key.ljust(64), "HS512"),
        by_hand({"alg": "HS512"}, CLAIMS),
        by_hand({"alg": "HS256", "kid": "no-such"}, CLAIMS),
        by_hand({"alg": "HS256", "kid": 7}, CLAIMS),
        by_hand({"alg": "HS256", "kid": "old"}, CLAIMS),  # another secret's name
        by_hand({"alg": "HS256", "crit": ["b64"], "b64": False}, CLAIMS),
        by_hand([], CLAIMS),
        by_hand({"alg": "HS256"}, []),
        sign(STRANGE, grant(Scope.ADMIN), NOW_S + 60),
        signed(aud="another service"),
        good + "A" * MAX_TOKEN_CHARS,
        base64.urlsafe_b64encode(b"[" * 3000).decode() + "." + claims + "." + signature,
    ):
        with pytest.raises(Unauthorized, match="not the right one"):
            KEYS.read(token, NOW_S)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1e999},
        {"exp": float("nan")},
        {"exp": NOW_S * 1000},
        {"nbf": "today"},
        {"stream": None},
        {"stream": 7},
        {"stream": ""},
        {"stream": "*demo"},
        {"stream": "../demo"},
        {"stream": "d\u00e9mo"},
        {"scope": None},
        {"scope": ["watch"]},
    ],
    ids=str,
)
def test_claims_that_are_wrong_are_said_to_be(claims):
    body = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    with pytest.raises(Unauthorized) as refused:
        KEYS.read(by_hand({"alg": "HS256"}, body), NOW_S)
    challenge = refused.value.headers["WWW-Authenticate"]
    assert challenge.count('"') % 2 == 0 and challenge.isascii() and challenge.isprintable()


def test_scopes_of_other_services_are_none_here():
    assert KEYS.read(signed(scope="email watch  openid"), NOW_S) == grant(Scope.WATCH)
    with pytest.raises(Forbidden):
        KEYS.read(signed(scope="WATCH watchers"), NOW_S).check(Scope.WATCH, "demo")


def test_a_grant_is_for_its_scopes_and_its_streams():
    some, all_ = grant(Scope.WATCH, stream="team-*"), grant(Scope.ADMIN, stream=EVERY)
    some.check(Scope.WATCH, "team-a")
    some.check(Scope.WATCH, "elsewhere", anywhere=True)
    for scope in Scope:
        all_.check(scope, None)
    for scope, stream in ((Scope.SPEAK, "team-a"), (Scope.WATCH, "tea"), (Scope.WATCH, None), (Scope.ADMIN, "team-a")):
        with pytest.raises(Forbidden) as refused:
            some.check(scope, stream)
        challenge = refused.value.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope"' in challenge and f'scope="{scope}"' in challenge
    with pytest.raises(Forbidden):
        grant(Scope.ADMIN).check(Scope.ADMIN, None)  # admin of one stream is not of the server


@pytest.mark.parametrize(("stream", "good"), [("demo", True), ("*", True), ("a-*", True), ("", False), ("a*b", False)])
def test_what_a_token_can_be_bound_to(stream, good):
    assert is_pattern(stream) == good
    if not good:
        with pytest.raises(ValueError, match="stream"):
            sign(NEW, grant(Scope.WATCH, stream=stream), NOW_S)


def test_secrets_are_read_and_never_quoted():
    key = "k" * 32
    assert parse_secrets("") == ()
    assert parse_secrets(f"{key}, b:{key},") == (Secret("", key), Secret("b", key))
    for wrong in (
        key[1:],
        f"a:{key[1:]}",
        f"a b:{key}",
        f"{key},{key}",
        f"a:{key},a:{key}",
        f"a:{key} {key}",
        key + "é",
    ):
        with pytest.raises(ValueError) as refused:
            parse_secrets(wrong)
        assert "kkk" not in str(refused.value)


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60).map(base64.urlsafe_b64encode), max_size=4))
def test_any_text_is_a_good_token_or_unauthorized(given_one: str | list[bytes]):
    token = given_one if isinstance(given_one, str) else b".".join(given_one).decode()
    with pytest.raises(ServerError) as refused:
        KEYS.read(token, NOW_S)
    assert refused.value.status == 401


def test_the_token_that_the_documentation_makes_is_good():
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    made: dict[str, object] = {"secret": "s" * 64}
    exec(code, made)
    keys = Keyring([Secret("2026-12", "s" * 64)])
    assert keys.read(str(made["token"]), time.time()) == grant(Scope.WATCH, Scope.SPEAK)
