import json
import socket
from concurrent.futures import ThreadPoolExecutor


def talk(data):
    """Sends bytes to the origin and gives the status of each answer, until the connection ends."""
    with socket.create_connection(("origin.test", 80), 5) as connection:
        connection.settimeout(3)
        try:
            connection.sendall(data)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            answer += b"HTTP/1.1 reset"
        except TimeoutError:
            answer += b"HTTP/1.1 silence"
    return [part.split(b" ")[0].split(b"\r\n")[0].decode("latin1") for part in answer.split(b"HTTP/1.1 ")[1:]]


def request(target, *headers, method="GET", body="", host="Host: origin.test"):
    lines = [f"{method} {target} HTTP/1.1", *([host] if host else []), *headers, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin1")


SECOND = "GET /smuggled HTTP/1.1\r\nHost: denied.test\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"

PROBES = {
    "a request": request("/control"),
    "a body with a length": request("/length", "Content-Length: 5", method="POST", body="hello"),
    "a body in chunks": request("/chunks", CHUNKED, method="POST", body="5\r\nhello\r\n0\r\n\r\n"),
    "the absolute form": request("http://origin.test/absolute"),
    "a length and chunks": request("/x", "Content-Length: 5", CHUNKED, method="POST", body="0\r\n\r\n" + SECOND),
    "chunks and a length": request("/x", CHUNKED, "Content-Length: 60", method="POST", body="0\r\n\r\n" + SECOND),
    "two lengths": request("/x", "Content-Length: 0", f"Content-Length: {len(SECOND)}", method="POST", body=SECOND),
    "two lengths in one": request("/x", "Content-Length: 0, 5", method="POST", body="hello"),
    "a length with a sign": request("/x", "Content-Length: +5", method="POST", body="hello"),
    "a length in hexadecimal": request("/x", "Content-Length: 0x5", method="POST", body="hello"),
    "a coding of no known name": request("/x", "Transfer-Encoding: xchunked", method="POST", body="0\r\n\r\n" + SECOND),
    "chunks that are not last": request("/x", "Transfer-Encoding: chunked, identity", method="POST", body="0\r\n\r\n" + SECOND),
    "a space before the colon": request("/x", "Transfer-Encoding : chunked", method="POST", body="0\r\n\r\n" + SECOND),
    "a chunk with a sign": request("/x", CHUNKED, method="POST", body="-1\r\nhello\r\n0\r\n\r\n"),
    "a chunk in 0x": request("/x", CHUNKED, method="POST", body="0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk of 2^64": request("/x", CHUNKED, method="POST", body="10000000000000000\r\nhello\r\n0\r\n\r\n"),
    "a chunk that ends in a bare LF": request("/x", CHUNKED, method="POST", body="5\nhello\n0\n\n"),
    "bare LF": b"GET /x HTTP/1.1\nHost: origin.test\n\n",
    "bare CR": b"GET /x HTTP/1.1\r\nHost: origin.test\r\nA: b\rHost: denied.test\r\n\r\n",
    "a folded header": request("/x", "A: b", " Host: denied.test"),
    "NUL in a header": request("/x", "A: b\0c"),
    "NUL in the target": request("/x\0y"),
    "no Host": request("/x", host=""),
    "two Hosts": request("/x", "Host: denied.test"),
    "the same Host twice": request("/x", "Host: origin.test"),
    "another Host": request("/x", host="Host: denied.test"),
    "an allowed Host of another name": request("/x", host="Host: other.test"),
    "a Host with a user": request("/x", host="Host: origin.test@denied.test"),
    "a Host with another port": request("/x", host="Host: origin.test:8080"),
    "a Host with the dot of the root": request("/x", host="Host: origin.test."),
    "two names in one Host": request("/x", host="Host: origin.test, denied.test"),
    "another host in the absolute form": request("http://denied.test/x"),
    "another scheme in the absolute form": request("https://origin.test/x"),
    "a user in the absolute form": request("http://origin.test@denied.test/x"),
    "a backslash in the absolute form": request("http://origin.test\\@denied.test/x"),
    "another Host than the absolute form": request("http://origin.test/x", host="Host: denied.test"),
    "a second request with another Host": request("/first").replace(b"Connection: close\r\n", b"") + SECOND.encode(),
    "CONNECT": request("denied.test:443", method="CONNECT"),
    "CONNECT to itself": request("origin.test:80", method="CONNECT"),
    "a WebSocket": request("/x", "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13"),
    "600 headers": request("/flood", *[f"A{number}: b" for number in range(600)]),
    "a head of 200 KiB": request("/x", "A: " + "b" * 200_000),
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "TLS": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    "an upgrade to HTTP/2": request("/h2c", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "a length that Connection names": request("/named-length", "Connection: content-length", f"Content-Length: {len(SECOND)}", body=SECOND),
    "a Host that Connection names": request("/named-host", "Connection: host"),
}

with ThreadPoolExecutor(16) as pool:
    print(json.dumps(dict(zip(PROBES, pool.map(talk, PROBES.values())))))
