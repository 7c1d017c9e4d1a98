"""http.client and urllib, and a socket for what they do not do."""

import http.client
import json
import socket
import sys
import urllib.request

BASE = sys.argv[1]
HOST, PORT = BASE.removeprefix("http://").split(":")
JSON = {"content-type": "application/json"}
IDS = b'{"count": 1}'


def expect(wanted, found):
    assert wanted == found, f"{found!r} instead of {wanted!r}"


def ask(connection, method, path, body=None, headers={}, **options):
    connection.request(method, path, body, headers, **options)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def keep_alive():
    connection = http.client.HTTPConnection(HOST, int(PORT), timeout=30)
    connection.connect()
    port = connection.sock.getsockname()
    upgrade = {"connection": "upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AA"}
    for extra in [{}, upgrade, {"connection": "upgrade"}, {}] * 20:
        status, headers, _ = ask(connection, "POST", "/api/v1/ids", IDS, {**JSON, **extra})
        expect((200, None), (status, headers["connection"]))
    status, _, job = ask(connection, "POST", "/api/v1/jobs", b'{"name": "a"}', JSON)
    expect(201, status)
    path = f"/api/v1/jobs/{json.loads(job)['id']}/attachments/key"
    for body in [b"x" * 100, iter([b"x" * 1000] * 50)]:
        expect(201, ask(connection, "PUT", path, b"text", {"content-type": "text/plain"})[0])
        chunked = not isinstance(body, bytes)
        expect(204, ask(connection, "DELETE", path, body, encode_chunked=chunked)[0])
    for method in ["HEAD", "OPTIONS", "GET"]:
        ask(connection, method, "/healthz")
    expect(port, connection.sock.getsockname())


def closed_when_idle():
    host, port = sys.argv[2].removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    expect(200, ask(connection, "POST", "/api/v1/ids", IDS, JSON)[0])
    expect(b"", connection.sock.recv(1))


def pipelined():
    one = f"POST /api/v1/ids HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
    one += f"content-type: application/json\r\ncontent-length: {len(IDS)}\r\n\r\n"
    last = f"GET /healthz HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n"
    with socket.create_connection((HOST, int(PORT)), timeout=30) as stream:
        stream.sendall((one.encode() + IDS) * 40 + last.encode())
        answers = b"".join(iter(lambda: stream.recv(65536), b""))
    expect(41, answers.count(b"HTTP/1.1 200"))
    expect(1, answers.count(b"connection: "))


def waits_for_leave():
    head = f"POST /api/v1/ids HTTP/1.1\r\nhost: {HOST}\r\nexpect: 100-continue\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(IDS)}\r\n\r\n"
    with socket.create_connection((HOST, int(PORT)), timeout=30) as stream:
        stream.sendall(head.encode())
        expect(b"HTTP/1.1 100 Continue\r\n\r\n", stream.recv(25, socket.MSG_WAITALL))
        stream.sendall(IDS)
        expect(b"HTTP/1.1 200", stream.recv(12, socket.MSG_WAITALL))


keep_alive()
closed_when_idle()
pipelined()
waits_for_leave()
for _ in range(20):
    request = urllib.request.Request(BASE + "/api/v1/ids", IDS, JSON)
    expect(200, urllib.request.urlopen(request, timeout=30).status)
