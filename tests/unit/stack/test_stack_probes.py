import os
import socket

from stack.probes import free_ports, holder, is_free


def listen(host: str = "127.0.0.1") -> socket.socket:
    return socket.create_server((host, 0))


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(6)
    assert len(set(ports)) == 6
    sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]
    for one in sockets:
        one.close()


def test_free_ports_are_out_of_reach_of_outgoing_connections() -> None:
    assert all(port < 32_768 for port in free_ports(50))


def test_a_port_is_not_handed_out_twice_before_somebody_could_listen_there() -> None:
    ports = [free_ports(1)[0] for _ in range(300)]
    assert len(set(ports)) == 300


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with listen() as listener:
        assert not is_free(listener.getsockname()[1])


def test_a_port_taken_on_all_addresses_is_not_free_either() -> None:
    with listen("0.0.0.0") as listener:
        assert not is_free(listener.getsockname()[1])


def test_the_holder_of_a_port_is_named() -> None:
    with listen() as listener:
        found = holder(listener.getsockname()[1])
    assert found.endswith(f" (pid {os.getpid()})")


def test_nobody_holds_a_free_port() -> None:
    assert holder(free_ports(1)[0]) == "another process"
