"""Where an application is mounted: what a key means, and which one a request is for."""

import re
from typing import Any

import pytest

import portway
from portway.compose.keys import Key, find, ordered, parse_key


def scope_of(path: str, *hosts: str, root_path: str = "", scheme: str = "http") -> dict[str, Any]:
    headers = [(b"host", host.encode("latin-1")) for host in hosts]
    return {"type": "http", "path": path, "root_path": root_path, "headers": headers, "scheme": scheme}


def chosen(keys: list[str], scope: dict[str, Any]) -> str | None:
    found = find(ordered(map(parse_key, keys)), scope)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/", Key("", None, "")),
        ("/api", Key("", None, "/api")),
        ("/api/", Key("", None, "/api")),
        ("/a/b", Key("", None, "/a/b")),
        ("/caf%C3%A9", Key("", None, "/café")),
        ("/café", Key("", None, "/café")),
        ("/a%20b", Key("", None, "/a b")),
        ("/100%25", Key("", None, "/100%")),
        ("API.example.org/", Key("api.example.org", None, "")),
        ("example.org./v2", Key("example.org", None, "/v2")),
        ("example.org:8080/", Key("example.org", 8080, "")),
        ("*.example.org/", Key(".example.org", None, "")),
        ("[::1]/", Key("[::1]", None, "")),
        ("[0:0:0:0:0:0:0:1]:81/x", Key("[::1]", 81, "/x")),
        ("bücher.example/", Key("xn--bcher-kva.example", None, "")),
        ("127.0.0.1:1/", Key("127.0.0.1", 1, "")),
    ],
)
def test_a_key_is_read(text: str, key: Key) -> None:
    assert parse_key(text) == key
    assert parse_key(str(key)) == key if "%" not in str(key) else True


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write for example /old"),
        ("old", "write for example /old"),
        ("api.example.org", "write for example api.example.org/"),
        ("/a?b", "has a query"),
        ("/a#b", "has a query"),
        ("/a\nb", "has a query, a fragment or a control character"),
        ("/a%2Fb", "has an encoded slash"),
        ("/a%2fb", "has an encoded slash"),
        ("/a//b", "has an empty segment"),
        ("//a", "has an empty segment"),
        ("/a/../b", "has a segment of dots"),
        ("/a/%2e%2E", "has a segment of dots"),
        ("/.", "has a segment of dots"),
        ("/%FF", "is not UTF-8"),
        ("a b/", "'a b' is no host"),
        ("*/", "'*' is no host"),
        ("*.*.org/", "is no host"),
        ("*.[::1]/", "is no host"),
        ("[::g]/", "is no host"),
        ("[:::]/", "is no host"),
        ("host:port/", "is no host"),
        ("http://a/", "'http:' is no host"),
        ("a@b/", "is no host"),
    ],
)
def test_a_key_that_means_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(portway.SettingsError, match=re.escape(words)):
        parse_key(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("/a", "/a/"), ("/caf%C3%A9", "/café"), ("Example.org/", "example.org/"), ("[::1]/", "[0::1]/")],
)
def test_two_keys_that_mean_the_same_are_refused(one: str, other: str) -> None:
    with pytest.raises(portway.SettingsError, match="is there twice"):
        ordered(map(parse_key, [one, other]))


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/api/x", "/api"),
        ("/apix", "/"),
        ("/api/v2", "/api/v2"),
        ("/api/v2/x", "/api/v2"),
        ("/api/v20", "/api"),
        ("/API", "/"),
        ("//api", "/"),
        ("/x/api", "/"),
        ("/", "/"),
        ("", "/"),
        ("*", "/"),
    ],
)
def test_the_longest_path_of_whole_segments_wins(path: str, key: str) -> None:
    for keys in (["/", "/api", "/api/v2"], ["/api/v2", "/api", "/"]):
        assert chosen(keys, scope_of(path)) == key


def test_without_the_root_some_paths_are_nobodys() -> None:
    assert chosen(["/api"], scope_of("/apix")) is None
    assert chosen(["a.example/"], scope_of("/", "b.example")) is None


@pytest.mark.parametrize(
    ("root_path", "path", "key"),
    [
        ("/app", "/app/api/x", "/api"),
        ("/app", "/app/api", "/api"),
        ("/app", "/app", "/"),
        ("/app", "/application/api", "/"),  # at a segment's border only
        ("/api", "/api/api", "/api"),
        ("/api", "/api/x", "/"),
        ("/", "/api", "/api"),
        ("/app/", "/app/api", "/api"),
        ("/app", "/api", "/api"),  # a server that leaves it out
    ],
)
def test_root_path_is_taken_off_first(root_path: str, path: str, key: str) -> None:
    assert chosen(["/", "/api"], scope_of(path, root_path=root_path)) == key


HOSTS = ["/", "/v2", "api.example.org/", "api.example.org/v2", "*.example.org/", "api.example.org:8443/", "[::1]/"]


@pytest.mark.parametrize(
    ("host", "path", "key"),
    [
        ("api.example.org", "/", "api.example.org/"),
        ("API.Example.ORG", "/x", "api.example.org/"),
        ("api.example.org.", "/x", "api.example.org/"),
        ("api.example.org:80", "/x", "api.example.org/"),
        ("api.example.org:1234", "/v2", "api.example.org/v2"),
        ("api.example.org:8443", "/v2", "api.example.org:8443/"),  # the port is nearer than the path
        ("www.example.org", "/v2", "*.example.org/"),  # a host goes before any path
        ("a.b.example.org", "/", "*.example.org/"),
        ("example.org", "/", "/"),
        ("badexample.org", "/", "/"),
        ("example.org.evil.example", "/v2", "/v2"),
        ("[::1]", "/", "[::1]/"),
        ("[0:0::1]:8000", "/", "[::1]/"),
        ("[::1", "/", "/"),
        ("api.example.org@evil.example", "/", "/"),
        ("api.example.org:x", "/", "/"),
        ("api.example.org/", "/", "/"),
        (" api.example.org", "/", "/"),
        ("api.example.org\xe9", "/", "/"),
        ("", "/v2", "/v2"),
    ],
)
def test_the_host_decides_first(host: str, path: str, key: str) -> None:
    assert chosen(HOSTS, scope_of(path, host)) == key


def test_a_port_that_the_client_leaves_out_is_that_of_the_scheme() -> None:
    keys = ["a.example:443/", "a.example:80/", "/"]
    assert chosen(keys, scope_of("/", "a.example", scheme="wss")) == "a.example:443/"
    assert chosen(keys, scope_of("/", "a.example", scheme="http")) == "a.example:80/"
    assert chosen(keys, scope_of("/", "a.example:81")) == "/"


def test_no_host_or_two_of_them_are_no_host() -> None:
    assert chosen(HOSTS, scope_of("/")) == "/"
    assert chosen(HOSTS, scope_of("/", "api.example.org", "other.example")) == "/"
