"""Ports for servers lie where no client is put."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from streams.tether import free_ports

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not RANGE.exists(), reason="Linux says there which ports clients are given")
def test_a_server_gets_a_port_that_no_client_is_given_while_it_is_down() -> None:
    first = int(RANGE.read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < first


def test_a_port_that_is_taken_is_not_given_again() -> None:
    (port,) = free_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        assert port not in free_ports(200)
