import json
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

# The test says in front of this what AUTHORITY is, the certificate of the origin, and PATIENCE, how many seconds to wait for an answer.


def opened():
    return socket.create_connection(("origin.test", 443), 5)


def hello(name):
    """The bytes of a ClientHello of OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def browse(name):
    """What a client gets that checks the certificate of the origin."""
    context = ssl.create_default_context(cadata=AUTHORITY)
    context.check_hostname = False
    try:
        with opened() as plain, context.wrap_socket(plain, server_hostname=name) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return secure.recv(100).decode().strip()
    except ssl.SSLError as error:
        return error.reason
    except OSError as error:
        return type(error).__name__


def talk(*pieces):
    """What comes back for these bytes: the kind of the record, or how the connection ended."""
    with opened() as connection:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
                if len(piece) == 1:
                    time.sleep(0.0005)
            first = connection.recv(1)
            return {b"\x16": "handshake", b"\x15": "alert", b"": "end"}.get(first, "other")
        except (ConnectionResetError, BrokenPipeError):
            return "reset"
        except TimeoutError:
            return "silence"


GOOD = hello("origin.test")
DENIED = hello("denied.test")


def in_records(data, size):
    """The same message in more records."""
    body = data[5:]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[at : at + size] for at in range(0, len(body), size)))


PROBES = {
    "the name": lambda: browse("origin.test"),
    "upper case": lambda: browse("ORIGIN.TEST"),
    "another name": lambda: browse("denied.test"),
    "another allowed name": lambda: browse("other.test"),
    "a longer name": lambda: browse("origin.test.denied.test"),
    "a subdomain": lambda: browse("www.origin.test"),
    "no name": lambda: browse(None),
    "an address": lambda: browse("93.184.216.34"),
    "a whole hello": lambda: talk(GOOD),
    "one byte at a time": lambda: talk(*[GOOD[at : at + 1] for at in range(len(GOOD))]),
    "many records": lambda: talk(in_records(GOOD, 20)),
    "another name in many records": lambda: talk(in_records(DENIED, 20)),
    "another name one byte at a time": lambda: talk(*[DENIED[at : at + 1] for at in range(len(DENIED))]),
    "two hellos": lambda: talk(GOOD + DENIED),
    "a hello that never ends": lambda: talk(GOOD[:100]),
    "no bytes": lambda: talk(b""),
    "plain HTTP": lambda: talk(b"GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n"),
    "SSH": lambda: talk(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "other bytes": lambda: talk(b"\x00\x01\x02\x03" * 10),
    "SSL 2": lambda: talk(b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + b"\x01" * 37),
    "an alert": lambda: talk(b"\x15\x03\x01\x00\x02\x02\x28"),
}

with ThreadPoolExecutor(len(PROBES)) as pool:
    results = {name: pool.submit(probe) for name, probe in PROBES.items()}
    print(json.dumps({name: result.result() for name, result in results.items()}))
