"""Hosts and origins that the page's server answers to."""

import asyncio

import pytest

from explainers.app.security import SameOriginOnly


async def page(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def ask(headers, method="GET", server=("127.0.0.1", 7860), names=(), port=7860):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "server": server,
        "headers": [(key.encode(), value.encode()) for key, value in headers],
    }
    asyncio.run(SameOriginOnly(page, port, names)(scope, None, send))
    start, body = sent
    assert dict(start["headers"])[b"content-security-policy"].startswith(b"default-src 'self'")
    return start["status"], body["body"].decode()


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST:7860", "[::1]:7860"]
)
def test_local_names_are_answered(host):
    assert ask([("host", host)]) == (200, "the page")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost.evil.example:7860",
        "192.168.1.5:7860",
        "",
    ],
)
def test_other_hosts_are_refused_with_the_way_out(host):
    status, text = ask([("host", host)])
    assert status == 421
    assert repr(host) in text
    assert "--allowed-host" in text


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1:7860", "evil.example"]])
def test_a_request_of_no_host_or_of_several_is_refused(hosts):
    assert ask([("host", host) for host in hosts])[0] == 400


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.168.1.5", "192.168.1.5:7860"),
        ("::ffff:192.168.1.5", "192.168.1.5:7860"),
        ("fe80::5", "[fe80::5]:7860"),
    ],
)
def test_the_address_that_a_request_came_in_at_is_answered(address, host):
    assert ask([("host", host)], server=(address, 7860))[0] == 200
    assert ask([("host", host)])[0] == 421


@pytest.mark.parametrize(
    ("name", "host", "status"),
    [
        ("box.example", "box.example:7860", 200),
        ("Box.example", "box.example", 200),  # behind a proxy
        ("box.example", "box.example:7861", 421),
        ("box.example:8443", "box.example:8443", 200),
        ("box.example", "a.box.example:7860", 421),
    ],
)
def test_allowed_names_are_answered(name, host, status):
    assert ask([("host", host)], names=[name])[0] == status


def test_browsers_leave_out_the_port_of_http():
    assert ask([("host", "127.0.0.1")], port=80)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:8000", "http://localhost:7860", "null", ""]
)
def test_changes_that_another_page_asks_for_are_refused(method, origin):
    assert ask([("host", "127.0.0.1:7860"), ("origin", origin)], method)[0] == 403


@pytest.mark.parametrize("origins", [[], ["http://127.0.0.1:7860"]])
def test_the_page_and_programs_may_change_things(origins):
    headers = [("host", "127.0.0.1:7860"), *(("origin", one) for one in origins)]
    assert ask(headers, "POST")[0] == 200


def test_a_proxy_with_https_has_the_origin_of_its_name():
    headers = [("host", "box.example"), ("origin", "https://box.example")]
    assert ask(headers, "POST", names=["box.example"])[0] == 200


def test_websockets_are_closed():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(SameOriginOnly(page, 7860)({"type": "websocket", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
