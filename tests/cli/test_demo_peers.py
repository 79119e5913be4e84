"""Where do the peers of the demonstration, and of stories, listen?"""

from __future__ import annotations

import socket

from local_controller.cli.demo_peers import HOST, free_ports


def test_no_system_gives_one_of_the_ports_to_somebody_else_before_it_is_listened_on() -> None:
    """A gateway takes seconds to start; who asked for any port meanwhile would be taken for it by its stations."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.create_server((HOST, 0)) as anybody:
        lowest_of_systems = min(anybody.getsockname()[1], 32_768)
    assert max(ports) < lowest_of_systems
    for port in ports:
        socket.create_server((HOST, port)).close()


def test_a_port_that_somebody_listens_on_is_none_of_them() -> None:
    (taken,) = free_ports(1)
    with socket.create_server((HOST, taken)):
        assert all(taken not in free_ports(50) for _ in range(20))
