import socket

import pytest

from explainers.app.listening import listening
from explainers.errors import InputError


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_socket_listens_until_the_end():
    port = free_port()
    with listening("127.0.0.1", port) as sockets:
        assert [one.getsockname() for one in sockets] == [("127.0.0.1", port)]
        socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize("port", [-1, 0, 65536, 99999, 10**30])
def test_ports_out_of_range_are_refused(port):
    message = f"port {port} is outside 1 to 65535; choose another by --port"
    with pytest.raises(InputError, match=message), listening("127.0.0.1", port):
        pass


def test_a_port_that_is_taken_is_refused_with_the_way_out():
    port = free_port()
    with (
        listening("127.0.0.1", port),
        pytest.raises(InputError, match=rf"port {port} of 127\.0\.0\.1 is taken .* --port"),
        listening("127.0.0.1", port),
    ):
        pass


@pytest.mark.parametrize("host", ["", " ", "300.1.2.3", "nowhere.invalid", "192.0.2.1", "x" * 99])
def test_hosts_of_other_machines_are_refused_with_the_way_out(host):
    with (
        pytest.raises(InputError, match=r"is no address of this machine; .*--host") as refused,
        listening(host, free_port()),
    ):
        pass
    assert repr(host) in str(refused.value)
