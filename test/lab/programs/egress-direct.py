"""Tries every way to a network that needs no name, and prints for each whether it arrived, or the number of the error.

PLACES and DNS_SERVERS are set in front of it: the addresses to try.
"""
import errno
import json
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 5
ECHO = 7


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 0x5157, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def tcp(address, port):
    with socket.create_connection((address, port), PATIENCE):
        return "arrived"


def answered(connection, data, place):
    with connection:
        connection.settimeout(PATIENCE)
        connection.sendto(data, place)
        return "arrived" if connection.recv(4096) else "end"


def udp(address, port, data=b"echo"):
    return answered(socket.socket(family(address), socket.SOCK_DGRAM), data, (address, port))


def ask(address):
    return udp(address, 53, question("stolen.denied.test"))


def fast_open(address, port):
    with socket.socket(family(address), socket.SOCK_STREAM) as connection:
        connection.sendto(b"data before the handshake", socket.MSG_FASTOPEN, (address, port))
        return "arrived"


def ping(address, kind):
    head = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    data = struct.pack("!BBHHH", 8, 0, checksum(head), 1, 1)
    return answered(socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP), data, (address, 0))


def packet(address, port):
    """An IPv4 packet with a datagram from a port for the echo in it."""
    payload = struct.pack("!4H", port, ECHO, 12, 0) + b"raw!"
    ends = socket.inet_aton("127.0.0.1") + socket.inet_aton(address)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, socket.IPPROTO_UDP, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def raw(address):
    """The echo's answer shows that the packet arrived."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as connection:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
            ear.bind(("127.0.0.1", 0))
            ear.settimeout(PATIENCE)
            connection.sendto(packet(address, ear.getsockname()[1]), (address, 0))
            return "arrived" if ear.recv(100) == b"raw!" else "other"


def link_layer(_address):
    """Reads a packet of its own off the wire, which shows that it could write any."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as connection:
        connection.bind(("lo", 0x0800))
        connection.settimeout(PATIENCE)
        connection.send(bytes(12) + b"\x08\x00" + packet("127.0.0.1", ECHO))
        return "arrived" if connection.recv(2000) else "end"


WAYS = {
    "TCP to port 80": lambda address: tcp(address, 80),
    "TCP to port 443": lambda address: tcp(address, 443),
    "TCP with data in the handshake": lambda address: fast_open(address, 80),
    "UDP": lambda address: udp(address, ECHO),
    "QUIC": lambda address: udp(address, 443, b"\xc0\x00\x00\x00\x01\x08" + bytes(1194)),
    "DNS over TCP": lambda address: tcp(address, 53),
}
WAYS_IPV4 = {
    "ping": lambda address: ping(address, socket.SOCK_RAW),
    "ping without a raw socket": lambda address: ping(address, socket.SOCK_DGRAM),
    "a raw packet": raw,
}


def attempt(way, address):
    try:
        return way(address)
    except TimeoutError:
        return "silence"
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)


def allow_pings():
    """A new network namespace lets nobody ping without a raw socket; who may change that does."""
    try:
        with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
            file.write("0 65535")
    except OSError:
        pass


allow_pings()
tries = [(name, way, address) for address in PLACES for name, way in WAYS.items()]
tries += [(name, way, address) for address in PLACES if ":" not in address for name, way in WAYS_IPV4.items()]
tries += [("DNS over UDP", ask, address) for address in DNS_SERVERS]
tries += [("a frame", link_layer, "127.0.0.1")]
with ThreadPoolExecutor(16) as pool:
    outcomes = pool.map(lambda one: attempt(one[1], one[2]), tries)
    print(json.dumps({f"{name} to {address}": outcome for (name, _, address), outcome in zip(tries, outcomes)}))
