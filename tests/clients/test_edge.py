"""What is not AWS's client: broken requests, slow and silent clients, strangers. The node answers or cuts each of them and
serves everybody else meanwhile; `served` insists on that in every test."""

import base64
import concurrent.futures
import contextlib
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import h2.config
import h2.connection
import h2.events
import pytest

from deployment import BINARY, Deployment, wait_until

REGION = "eu-west-1"
BODY_BYTES_MAX = 1024 * 1024
# The node's own limits are 10 s for a handshake and for headers.
CUT_SECONDS_MAX = 40


@pytest.fixture(autouse=True)
def served(deployment):
    """A well-behaved client of the same node, from before a test's first byte until after its last."""
    kms = deployment.kms(REGION, attempts=2)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    stop, answers, failures = threading.Event(), [], []

    def serve():
        while not stop.is_set():
            try:
                blob = kms.encrypt(KeyId=key_id, Plaintext=b"meanwhile")["CiphertextBlob"]
                assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"meanwhile"
                answers.append(1)
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails with it
                failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        wait_until(lambda: answers or failures, 30, "the node serves before the test")
        yield key_id
        done = len(answers)
        wait_until(lambda: len(answers) > done + 1 or failures, 30, "the node serves after the test")
    finally:
        stop.set()
        thread.join()
    assert not failures, failures[:3]


def address_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def tls_of(deployment, identity="admin", alpn=None):
    who = deployment.identities[identity]
    tls = ssl.create_default_context(cafile=deployment.contract["ca"])
    tls.load_cert_chain(who["cert"], who["key"])
    if alpn:
        tls.set_alpn_protocols(alpn)
    return tls


def connect(url, tls, timeout=CUT_SECONDS_MAX):
    plain = socket.create_connection(address_of(url), timeout=timeout)
    try:
        return tls.wrap_socket(plain, server_hostname="127.0.0.1")
    except BaseException:
        plain.close()
        raise


def request(operation, body, *headers, length=None):
    lines = [
        "POST / HTTP/1.1", "Host: 127.0.0.1", f"X-Amz-Target: TrentService.{operation}", "Content-Type: application/x-amz-json-1.1",
        *headers,
    ]
    if length is not False:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer_of(stream):
    """One whole answer (status, headers, body), or None where the stream ends; a cut answer is an error."""
    line = stream.readline()
    if not line:
        return None
    assert line.startswith(b"HTTP/1.1 ") and line.endswith(b"\r\n"), line
    headers = {}
    while (header := stream.readline()) != b"\r\n":
        assert header.endswith(b"\r\n"), "the headers of an answer were cut"
        name, value = header.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    assert len(body) == length, "the body of an answer was cut"
    return int(line.split()[1]), headers, body


def ask(deployment, raw, node=0):
    with connect(deployment.regions[REGION][node].api, tls_of(deployment)) as connection:
        connection.sendall(raw)
        with connection.makefile("rb") as stream:
            return answer_of(stream)


def labelled(node, metric, **labels):
    """The sum of a metric's values that have these labels."""
    with urllib.request.urlopen(f"{node.metrics}/metrics", timeout=5) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith(metric + "{")]
    return sum(float(line.split()[-1]) for line in lines if all(f'{name}="{value}"' in line for name, value in labels.items()))


@pytest.mark.parametrize(
    ("operation", "body", "status", "code"),
    [
        ("Encrypt", b'{"KeyId":', 400, "SerializationException"),
        ("Encrypt", b"not json", 400, "SerializationException"),
        ("Encrypt", b"\xff\xfe\x00", 400, "SerializationException"),
        ("Encrypt", b"[]", 400, "SerializationException"),
        ("Encrypt", b'"text"', 400, "SerializationException"),
        ("Encrypt", b'{"KeyId":5,"Plaintext":"eA=="}', 400, "SerializationException"),
        ("Encrypt", b'{"KeyId":"k","Plaintext":{}}', 400, "SerializationException"),
        ("Encrypt", b'{"KeyId":"k","Plaintext":"not base64!"}', 400, "SerializationException"),
        ("Encrypt", b'{"KeyId":"k","Plaintext":"eA==","EncryptionContext":[1]}', 400, "SerializationException"),
        ("GenerateRandom", b'{"NumberOfBytes":"many"}', 400, "SerializationException"),
        ("GenerateRandom", b'{"NumberOfBytes":1e400}', 400, "SerializationException"),
        # A parser that recurses without a bound would take the process with it.
        ("Encrypt", b'{"EncryptionContext":' + b"[" * 500_000, 400, "SerializationException"),
        ("Encrypt", b'{"EncryptionContext":' + b'{"a":' * 100_000, 400, "SerializationException"),
        ("Explode", b"{}", 400, "UnknownOperationException"),
        ("", b"{}", 400, "UnknownOperationException"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else str(value),
)
def test_broken_requests_are_answered_as_aws_does(deployment, operation, body, status, code):
    answered, headers, text = ask(deployment, request(operation, body))
    assert (answered, json.loads(text)["__type"], headers["x-amzn-errortype"]) == (status, code, code)
    assert headers["x-amzn-requestid"]


def test_other_methods_and_paths_are_refused(deployment):
    status, headers, body = ask(deployment, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (status, headers["allow"], json.loads(body)["__type"]) == (405, "POST", "UnknownOperationException")
    status, _, body = ask(deployment, b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (status, json.loads(body)["__type"]) == (404, "UnknownOperationException")
    # A principal is no operator, whatever path it asks for.
    status, _, _ = ask(deployment, b"GET /admin/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert 400 <= status < 500


def test_a_body_of_one_byte_too_many(deployment, served):
    def padded(size):
        head, tail = b'{"Description":"', b'"}'
        return head + b"x" * (size - len(head) - len(tail)) + tail

    # The largest body is read, and refused for what it says.
    status, _, body = ask(deployment, request("CreateKey", padded(BODY_BYTES_MAX)))
    assert (status, json.loads(body)["__type"]) == (400, "ValidationException")
    # Announced: refused before any of it was sent.
    status, _, body = ask(deployment, request("CreateKey", b"", length=BODY_BYTES_MAX + 1))
    assert (status, json.loads(body)["__type"]) == (413, "RequestEntityTooLargeException")
    # Not announced: refused where it goes beyond, without the end of the body; nothing is left unread that would reset the connection.
    chunked = request("CreateKey", b"", "Transfer-Encoding: chunked", length=False)
    body = padded(BODY_BYTES_MAX + 1)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + 65536]), body[at:at + 65536]) for at in range(0, len(body), 65536))
    status, _, body = ask(deployment, chunked + chunks)
    assert (status, json.loads(body)["__type"]) == (413, "RequestEntityTooLargeException")


def test_silent_and_dribbling_clients_are_cut(deployment):
    """Each as often as a handful of clients would; all at once, since each is waited for."""
    url = deployment.regions[REGION][0].api

    def says_nothing_at_all():
        with socket.create_connection(address_of(url), timeout=CUT_SECONDS_MAX) as plain:
            assert plain.recv(1) == b""

    def says_nothing_after_the_handshake():
        with connect(url, tls_of(deployment)) as connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""

    def dribbles(plain_or_tls, text):
        """One byte whenever the server has been silent for a while, until it hangs up."""
        plain_or_tls.settimeout(0.2)
        for byte in text:
            try:
                plain_or_tls.sendall(bytes([byte]))
                if plain_or_tls.recv(1) == b"":
                    return
                raise AssertionError("a request was answered that was never complete")
            except TimeoutError:
                continue
            except (ssl.SSLError, OSError):
                return
        raise AssertionError("a dribbling client was not cut")

    endless = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Padding: " + b"x" * int(CUT_SECONDS_MAX / 0.2)

    def dribbles_headers():
        with connect(url, tls_of(deployment)) as connection:
            dribbles(connection, endless)

    def dribbles_a_handshake():
        with socket.create_connection(address_of(url), timeout=CUT_SECONDS_MAX) as plain:
            # A record that announces 512 bytes of ClientHello.
            dribbles(plain, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(int(CUT_SECONDS_MAX / 0.2)))

    clients = [says_nothing_at_all, says_nothing_after_the_handshake, dribbles_headers, dribbles_a_handshake] * 3
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        for future in [pool.submit(client) for client in clients]:
            future.result()


def test_headers_beyond_the_limit_are_refused(deployment):
    status, _, _ = ask(deployment, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Padding: " + b"x" * 40_000 + b"\r\n\r\n")
    assert status == 431


def test_a_client_that_never_reads_its_answers_is_not_read_either(deployment):
    """Answers that nobody reads are not collected: once the sockets are full, the node takes no further request."""
    node = deployment.regions[REGION][0]
    one = request("GenerateRandom", b'{"NumberOfBytes":1024}')
    plain = socket.socket()
    for option in [socket.SO_RCVBUF, socket.SO_SNDBUF]:
        plain.setsockopt(socket.SOL_SOCKET, option, 16 * 1024)
    plain.settimeout(CUT_SECONDS_MAX)
    plain.connect(address_of(node.api))
    with tls_of(deployment).wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.setblocking(False)
        pending, sent = memoryview(one * 100), 0
        while sent < 64 * 1024 * 1024:
            try:
                sent += connection.send(pending)
            except ssl.SSLWantWriteError:
                # What was refused must be offered again as it was, so the buffer stays the same.
                if not select.select([], [connection], [], 5)[1]:
                    break
        else:
            raise AssertionError(f"{sent} bytes of requests were read whose answers nobody reads")
        # It is held while it is there and forgotten when it is gone.
        before = labelled(node, "claviger_connections", listener="api")
        assert before >= 2
    wait_until(lambda: labelled(node, "claviger_connections", listener="api") < before, 30, "the connection is forgotten")


def test_a_client_killed_in_the_middle_of_a_body(deployment):
    node = deployment.regions[REGION][0]
    who = deployment.identities["admin"]
    body = b'{"Description":"made by a client that was killed"}'
    half = request("CreateKey", body[:20], length=len(body))
    host, port = address_of(node.api)
    script = f"""
import socket, ssl, sys
tls = ssl.create_default_context(cafile={deployment.contract["ca"]!r})
tls.load_cert_chain({who["cert"]!r}, {who["key"]!r})
connection = tls.wrap_socket(socket.create_connection(({host!r}, {port})), server_hostname={host!r})
connection.sendall({half!r})
print("sent", flush=True)
sys.stdin.read()
"""
    root = deployment.kms(REGION, identity="root")

    def keys():
        return {key["KeyId"] for page in root.get_paginator("list_keys").paginate() for key in page["Keys"]}

    before = keys()
    open_before = labelled(node, "claviger_connections", listener="api")
    clients = [subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(5)]
    for client in clients:
        assert client.stdout.readline() == b"sent\n"
    assert labelled(node, "claviger_connections", listener="api") >= open_before + 5
    for client in clients:
        client.kill()
        client.communicate()
    wait_until(lambda: labelled(node, "claviger_connections", listener="api") <= open_before, 30, "the connections are forgotten")
    assert keys() == before


def refused(url, tls, plain_metric):
    """The server's alert, in the handshake or at the first read, and the server counted it."""
    before = plain_metric()
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as caught, connect(url, tls) as connection:
        # In TLS 1.3 the client's side of the handshake ends before the server has looked at the certificate.
        connection.recv(1)
    assert not isinstance(caught.value, ssl.SSLCertVerificationError), "it is the server that must refuse"
    wait_until(lambda: plain_metric() > before, 10, "the refusal is counted")


def peer_tls(node, cert, key):
    tls = ssl.create_default_context(cafile=os.path.join(os.path.dirname(node.config), "tls", "peer-ca.pem"))
    tls.check_hostname = False
    tls.load_cert_chain(cert, key)
    return tls


def test_strangers_are_refused_in_the_handshake(deployment, tmp_path):
    node = deployment.regions[REGION][0]
    own = os.path.join(os.path.dirname(node.config), "tls")
    peer_pem, peer_key = os.path.join(own, "peer.pem"), os.path.join(own, "peer.key")

    def count(listener):
        return lambda: labelled(node, "claviger_tls_refused_total", listener=listener)

    # Another deployment's CA, of the same trust domain and for the same principal.
    pki, out = tmp_path / "pki", tmp_path / "admin"
    domain = deployment.contract["trust_domain"]
    subprocess.run([BINARY, "pki", "init", "--dir", pki, "--trust-domain", domain], check=True, capture_output=True)
    identity = "111122223333/user/admin"
    subprocess.run([BINARY, "pki", "client", "--dir", pki, "--out", out, "--identity", identity], check=True, capture_output=True)
    stranger = ssl.create_default_context(cafile=deployment.contract["ca"])
    stranger.load_cert_chain(f"{out}.pem", f"{out}.key")
    refused(node.api, stranger, count("api"))
    # No certificate at all.
    refused(node.api, ssl.create_default_context(cafile=deployment.contract["ca"]), count("api"))
    # A node is no client.
    as_client = ssl.create_default_context(cafile=deployment.contract["ca"])
    as_client.load_cert_chain(peer_pem, peer_key)
    refused(node.api, as_client, count("api"))
    # A client is no node.
    who = deployment.identities["admin"]
    refused(node.peer, peer_tls(node, who["cert"], who["key"]), count("peer"))
    # And the two that are right are let in by the same code.
    assert ask(deployment, request("GenerateRandom", b'{"NumberOfBytes":1}'))[0] == 200
    with connect(node.peer, peer_tls(node, peer_pem, peer_key)) as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(9) == b"HTTP/1.1 "


@pytest.mark.parametrize("listener", ["api", "peer"])
def test_tls_1_2_is_refused(deployment, listener):
    node = deployment.regions[REGION][0]
    own = os.path.join(os.path.dirname(node.config), "tls")
    tls = tls_of(deployment) if listener == "api" else peer_tls(node, os.path.join(own, "peer.pem"), os.path.join(own, "peer.key"))
    with connect(getattr(node, listener), tls) as connection:
        assert connection.version() == "TLSv1.3"
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        connect(getattr(node, listener), tls).close()


def test_calls_over_http_2(deployment, served):
    """Several calls at once on one connection, each answered on its own stream."""
    with connect(deployment.regions[REGION][0].api, tls_of(deployment, alpn=["h2"])) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        http.initiate_connection()
        streams = {}
        for number in range(10):
            plaintext = f"stream {number}".encode()
            body = json.dumps({"KeyId": served, "Plaintext": base64.b64encode(plaintext).decode()}).encode()
            stream = http.get_next_available_stream_id()
            headers = [
                (":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "127.0.0.1"),
                ("x-amz-target", "TrentService.Encrypt"), ("content-type", "application/x-amz-json-1.1"),
            ]
            http.send_headers(stream, headers)
            http.send_data(stream, body, end_stream=True)
            streams[stream] = {"plaintext": plaintext, "body": b"", "status": None, "ended": False}
        connection.sendall(http.data_to_send())
        while not all(stream["ended"] for stream in streams.values()):
            received = connection.recv(65536)
            assert received, "the connection ended before its answers"
            for event in http.receive_data(received):
                if isinstance(event, h2.events.ResponseReceived):
                    streams[event.stream_id]["status"] = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    streams[event.stream_id]["body"] += event.data
                    http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    streams[event.stream_id]["ended"] = True
            connection.sendall(http.data_to_send())
    kms = deployment.kms(REGION, 1)
    for stream in streams.values():
        assert stream["status"] == "200", stream
        blob = base64.b64decode(json.loads(stream["body"])["CiphertextBlob"])
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == stream["plaintext"]


def test_a_node_that_is_told_to_stop_finishes_what_it_began(tmp_path):
    """SIGTERM amid requests: those that the node has begun are answered, whole, and what it acknowledged is there afterwards."""
    own = Deployment(tmp_path, regions=REGION, nodes=1)
    try:
        (node,) = own.regions[REGION]
        # As a child of this process its exit status can be seen.
        node.kill(signal.SIGTERM)
        node.start()
        node.await_ready()
        body = b'{"Description":"made while stopping"}'
        begun = []
        for _ in range(20):
            connection = connect(node.api, tls_of(own))
            stream = connection.makefile("rb")
            connection.sendall(request("CreateKey", b"", "Expect: 100-continue", length=len(body)))
            # The node asks for the body once it works on the request.
            assert answer_of(stream)[0] == 100
            begun.append((connection, stream))
        answers = [0] * 4

        def ask_on_and_on(number):
            with connect(node.api, tls_of(own)) as connection, connection.makefile("rb") as stream:
                while True:
                    # Between answers the node may hang up; one that has begun must be whole, which `answer_of` checks.
                    try:
                        connection.sendall(request("GenerateRandom", b'{"NumberOfBytes":1024}'))
                        if not stream.peek(1):
                            return
                    except OSError:
                        return
                    status, _, text = answer_of(stream)
                    assert status == 200 and len(base64.b64decode(json.loads(text)["Plaintext"])) == 1024
                    answers[number] += 1

        pool = concurrent.futures.ThreadPoolExecutor(len(answers))
        asking = [pool.submit(ask_on_and_on, number) for number in range(len(answers))]
        wait_until(lambda: min(answers) > 5 or any(future.done() for future in asking), 30, "requests are answered")

        os.kill(node.pid, signal.SIGTERM)

        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection(address_of(node.api), timeout=1).close()
                return True
            return False

        wait_until(lambda: not listens(), 20, "the node takes no further connection")
        made = []
        for connection, stream in begun:
            connection.sendall(body)
            status, _, text = answer_of(stream)
            assert status == 200, text
            made.append(json.loads(text)["KeyMetadata"]["KeyId"])
            connection.close()
        for future in asking:
            future.result()
        assert min(answers) > 5
        assert node.process.wait(60) == 0
        node.start()
        node.await_ready()
        kms = own.kms(REGION)
        for key_id in made:
            assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == "made while stopping"
    finally:
        own.stop()
