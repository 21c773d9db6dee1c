"""Revoked certificates: once `claviger crl publish` has answered, no node of the region honours them, on new connections or on
live ones, however far the node is behind; nobody else notices."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import h2.config
import h2.connection
import hpack
import hyperframe.frame
import pytest

from deployment import BINARY, Deployment, wait_until
from test_edge import address_of, answer_of, connect, labelled, request

REGION = "eu-west-1"
ENCRYPT = "Encrypt"

# Whose certificates are revoked here are sessions of one role, which may do everything.
IDENTITIES = """
[[account]]
id = "111122223333"
policy = [{ name = "everything", document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}' }]
user = [{ name = "admin", attach = ["everything"] }]
role = [{ name = "client", attach = ["everything"] }]
"""


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    """A region of three nodes of its own: what is revoked here stays revoked."""
    running = Deployment(tmp_path_factory.mktemp("revocation"), regions=REGION)
    identities = running.directory / "revocation.toml"
    identities.write_text(IDENTITIES)
    claviger("iam", "apply", "-f", identities, "--demo", running.directory / "demo" / "demo.json")
    yield running
    running.stop()


@pytest.fixture
def others_are_served(region):
    """A well-behaved client of every node, during all of a test that does not stop nodes. No request of its is repeated."""
    key_id = region.kms(REGION).create_key()["KeyMetadata"]["KeyId"]
    with Traffic([region.kms(REGION, node, attempts=1) for node in range(3)], key_id) as traffic:
        yield traffic


class Traffic:
    """Encrypts, decrypts and creates at every node, one thread each, until the end."""

    def __init__(self, clients, key_id):
        self.failures, self.counts, self.stop = [], [0] * len(clients), threading.Event()
        self.may_fail = False
        self.threads = [threading.Thread(target=self.run, args=(n, kms, key_id)) for n, kms in enumerate(clients)]

    def run(self, number, kms, key_id):
        while not self.stop.is_set():
            try:
                blob = kms.encrypt(KeyId=key_id, Plaintext=b"meanwhile")["CiphertextBlob"]
                assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"meanwhile"
                if self.counts[number] % 10 == 0:
                    kms.create_key()
                self.counts[number] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the test fails with it
                if not self.may_fail:
                    self.failures.append(error)

    def progress(self):
        """Waits until every thread has done something more."""
        before = list(self.counts)
        wait_until(lambda: self.failures or all(now > then for now, then in zip(self.counts, before)), 60, "everybody is served")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.progress()
        return self

    def __exit__(self, *failed):
        try:
            if not failed[0] and not self.may_fail:
                self.progress()
        finally:
            self.stop.set()
            for thread in self.threads:
                thread.join()
        assert not self.failures, self.failures[:3]


def claviger(*arguments, check=True):
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0 or not check, done.stderr
    return done


def pki_of(region):
    return region.directory / "demo" / "pki"


def issue(region, kind, name, pki=None):
    """A new certificate: its path and its key's."""
    out = region.directory / f"{kind}-{name}"
    who = ["--identity", f"111122223333/role/client/{name}"] if kind == "client" else ["--name", name]
    claviger("pki", kind, "--dir", pki or pki_of(region), "--out", out, *who)
    return f"{out}.pem", f"{out}.key"


def as_operator(region, node, who=None):
    operator = region.contract["operator"]
    cert, key = who or (operator["cert"], operator["key"])
    return ["--url", region.regions[REGION][node].api, "--cert", cert, "--key", key, "--ca", region.contract["ca"]]


def revoke(region, cert):
    written = claviger("pki", "revoke", "--json", "--dir", pki_of(region), "--cert", cert, "--reason", "key-compromise")
    return json.loads(written.stdout)[0]


def publish(region, node, crl):
    done = claviger("crl", "publish", "--json", *as_operator(region, node), crl)
    assert json.loads(done.stdout)["changed"]


def tls_as(region, who, alpn=None):
    tls = ssl.create_default_context(cafile=region.contract["ca"])
    tls.load_cert_chain(*who)
    if alpn:
        tls.set_alpn_protocols(alpn)
    return tls


class Http1:
    """A connection on which requests are sent and answered one at a time."""

    def __init__(self, region, node, who):
        self.connection = connect(region.regions[REGION][node].api, tls_as(region, who))
        self.stream = self.connection.makefile("rb")

    def send(self, raw):
        self.connection.sendall(raw)

    def answer(self):
        """Status and body; None when the connection ended instead."""
        try:
            answer = answer_of(self.stream)
        except (ssl.SSLError, ConnectionError):
            return None
        return answer and (answer[0], answer[2])

    def ask(self, operation, body):
        try:
            self.send(request(operation, body))
        except (ssl.SSLError, ConnectionError):
            return None
        return self.answer()

    def close(self):
        self.stream.close()
        self.connection.close()


class Http2:
    """The same over HTTP/2; it sends on after a GOAWAY, as a client that has not read it yet does."""

    def __init__(self, region, node, who):
        self.connection = connect(region.regions[REGION][node].api, tls_as(region, who, ["h2"]))
        assert self.connection.selected_alpn_protocol() == "h2"
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.http.initiate_connection()
        self.hpack = hpack.Decoder()
        self.connection.sendall(self.http.data_to_send())

    def ask(self, operation, body):
        self.start(operation, body)
        return self.answer()

    def start(self, operation, body):
        headers = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "127.0.0.1")]
        headers += [("x-amz-target", f"TrentService.{operation}"), ("content-type", "application/x-amz-json-1.1")]
        self.number = self.http.get_next_available_stream_id()
        self.http.send_headers(self.number, headers)
        self.http.send_data(self.number, body, end_stream=True)
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            self.connection.sendall(self.http.data_to_send())

    def answer(self):
        """Read frame by frame: a GOAWAY may come before the answer to a request that is served all the same."""
        status, body = None, b""
        try:
            while True:
                frame, length = hyperframe.frame.Frame.parse_frame_header(memoryview(self.read(9)))
                frame.parse_body(memoryview(self.read(length)))
                if getattr(frame, "stream_id", 0) != self.number:
                    continue
                if isinstance(frame, hyperframe.frame.RstStreamFrame):
                    return None
                if isinstance(frame, hyperframe.frame.HeadersFrame):
                    status = int(dict(self.hpack.decode(frame.data))[":status"])
                elif isinstance(frame, hyperframe.frame.DataFrame):
                    body += frame.data
                if "END_STREAM" in frame.flags:
                    return status, body
        except (ssl.SSLError, ConnectionError):
            return None

    def read(self, length):
        data = b""
        while len(data) < length:
            more = self.connection.recv(length - len(data))
            if not more:
                raise ConnectionError("the connection ended")
            data += more
        return data

    def close(self):
        self.connection.close()


def is_served(answer):
    return answer is not None and answer[0] == 200


def is_refused(answer):
    """The connection ended, or said that the certificate is revoked."""
    if answer is None or answer[0] == 403:
        return True
    return answer[0] == 400 and json.loads(answer[1])["__type"] == "UnrecognizedClientException"


def refused_by_alert(region, node, who):
    """A new connection gets nothing but the alert; the server may reset it before that is read."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as caught, connect(region.regions[REGION][node].api, tls_as(region, who)) as it:
        it.recv(1)
    text = str(caught.value).lower()
    assert isinstance(caught.value, ConnectionError) or "certificate revoked" in text, text


def requests(key_id):
    """One that reads a key, one that writes, one that looks at nothing."""
    return [
        (ENCRYPT, json.dumps({"KeyId": key_id, "Plaintext": "eA=="}).encode()),
        ("CreateKey", b"{}"),
        ("GenerateRandom", b'{"NumberOfBytes":1}'),
    ]


def test_a_revoked_client_fails_on_its_next_request_at_every_node(region, others_are_served):
    """Twelve clients, each revoked through another node, each with live HTTP/1.1 and HTTP/2 connections to all nodes."""
    key_id = region.kms(REGION).create_key()["KeyMetadata"]["KeyId"]
    with concurrent.futures.ThreadPoolExecutor(18) as pool:
        for number in range(12):
            who = issue(region, "client", f"mallory{number}")
            # A connection for each request: the first refusal may end it.
            tries = [
                (kind(region, node, who), operation, body)
                for kind in (Http1, Http2)
                for node in range(3)
                for operation, body in requests(key_id)
            ]
            assert all(is_served(answer) for answer in pool.map(lambda each: each[0].ask(*each[1:]), tries))
            publish(region, number % 3, revoke(region, who[0])["path"])
            answers = list(pool.map(lambda each: each[0].ask(*each[1:]), tries))
            assert all(is_refused(answer) for answer in answers), (number, answers)
            for node in range(3):
                refused_by_alert(region, node, who)
            for each in tries:
                each[0].close()


def test_a_node_that_is_behind_honours_it_no_longer_either(region, others_are_served):
    """A follower sleeps while the list is published, finds a request of the revoked client when it wakes, and refuses it."""
    others_are_served.may_fail = True  # those of the node that sleeps
    key_id = region.kms(REGION).create_key()["KeyMetadata"]["KeyId"]
    answered_aws = 0
    for number in range(8):
        leader = region.leader(REGION)
        node = next(index for index, each in enumerate(region.regions[REGION]) if each is not leader)
        awake = next(index for index in range(3) if index != node)
        who, operator = issue(region, "client", f"sleeper{number}"), issue(region, "operator", f"sleeper{number}")
        http1 = [(Http1(region, node, who), request(*each)) for each in requests(key_id)]
        http2 = [(Http2(region, node, who), each) for each in requests(key_id)]
        admin = Http1(region, node, operator)
        list_peers = b"GET /admin/v1/peers HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for connection, raw in http1 + [(admin, list_peers)]:
            connection.send(raw)
            assert is_served(connection.answer())
        for connection, each in http2:
            assert is_served(connection.ask(*each))
        revoke(region, who[0])
        crl = revoke(region, operator[0])["path"]
        sleeper = region.regions[REGION][node]
        os.kill(sleeper.pid, signal.SIGSTOP)
        try:
            publish(region, awake, crl)
            for connection, raw in http1 + [(admin, list_peers)]:
                connection.send(raw)
            for connection, each in http2:
                connection.start(*each)
        finally:
            os.kill(sleeper.pid, signal.SIGCONT)
        answers = [connection.answer() for connection, _ in http1 + http2]
        assert all(is_refused(answer) for answer in answers), (number, answers)
        answered_aws += sum(1 for answer in answers if answer is not None and answer[0] == 400)
        refusal = admin.answer()
        assert refusal is None or refusal[0] == 403, refusal
        for connection, _ in http1 + http2 + [(admin, None)]:
            connection.close()
    assert answered_aws > 0, "every connection ended before its request was looked at: the gate was not asked"


def test_a_list_outlives_its_nodes_and_reaches_one_that_was_down(region, others_are_served):
    others_are_served.may_fail = True
    who = issue(region, "client", "eve")
    nodes = region.regions[REGION]
    away = nodes[2]
    away.kill()
    written = revoke(region, who[0])
    publish(region, 0, written["path"])
    away.start()
    away.await_ready()
    refused_by_alert(region, 2, who)
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    for node in nodes:
        node.await_ready()
    for node in range(3):
        refused_by_alert(region, node, who)
        listed = json.loads(claviger("crl", "list", "--json", *as_operator(region, node)).stdout)
        assert (written["number"], written["revoked"]) in [(crl["number"], crl["revoked"]) for crl in listed]
    others_are_served.progress()


def test_lists_that_are_not_newer_or_not_ours_are_refused(region, tmp_path):
    first = pathlib.Path(revoke(region, issue(region, "client", "old")[0])["path"])
    older = tmp_path / "older.pem"
    shutil.copy(first, older)
    publish(region, 0, first)
    again = claviger("crl", "publish", *as_operator(region, 1), first)
    assert "Nothing was changed" in again.stdout
    publish(region, 1, revoke(region, issue(region, "client", "new")[0])["path"])
    refused = claviger("crl", "publish", *as_operator(region, 2), older, check=False)
    assert refused.returncode != 0 and "as new or newer" in refused.stderr

    stranger = tmp_path / "stranger"
    claviger("pki", "init", "--dir", stranger, "--trust-domain", region.contract["trust_domain"])
    claviger("pki", "crl", "--dir", stranger)
    refused = claviger("crl", "publish", *as_operator(region, 0), stranger / "api-crl.pem", check=False)
    assert refused.returncode != 0 and "no CA that this node trusts signed it" in refused.stderr
    refused = claviger("crl", "publish", *as_operator(region, 0), region.contract["ca"], check=False)
    assert refused.returncode != 0 and "not a certificate revocation list" in refused.stderr


def test_a_revoked_operator_is_refused(region):
    who = issue(region, "operator", "rogue")
    claviger("crl", "list", *as_operator(region, 0, who))
    publish(region, 1, revoke(region, who[0])["path"])
    for node in range(3):
        refused = claviger("crl", "list", *as_operator(region, node, who), check=False)
        assert refused.returncode != 0, refused.stdout


def test_a_revoked_node_is_cut_off_until_it_has_a_new_certificate(region, others_are_served, tmp_path):
    leader = region.leader(REGION)
    node = next(each for each in region.regions[REGION] if each is not leader)
    others_are_served.may_fail = True  # those of the node that is revoked
    tls = pathlib.Path(node.config).parent / "tls"
    publish(region, region.regions[REGION].index(leader), revoke(region, tls / "peer.pem")["path"])
    wait_until(lambda: not node.is_ready(), 30, "the revoked node is cut off")
    wait_until(lambda: labelled(leader, "claviger_tls_refused_total", listener="peer", reason="revoked") > 0, 30, "it is refused")
    assert region.kms(REGION, region.regions[REGION].index(leader)).create_key()

    # A new certificate takes its place while it runs.
    sans = ["--san", "127.0.0.1", "--san", "localhost"]
    claviger("pki", "node", "--dir", pki_of(region), "--out", tmp_path / "tls", "--region", REGION, "--id", node.id, *sans)
    replace(tls, tmp_path / "tls")
    node.await_ready()
    others_are_served.progress()


def replace(there, new, names=("api.pem", "api.key", "peer.pem", "peer.key")):
    """As an administrator's tool does: each file whole, one after the other."""
    for name in names:
        staged = there / f".{name}.new"
        shutil.copy(new / name, staged)
        os.rename(staged, there / name)


def shown(node, bundle, who):
    """The certificate that a new connection to the api listener is shown."""
    tls = ssl.create_default_context(cafile=bundle)
    tls.load_cert_chain(*who)
    with tls.wrap_socket(socket.create_connection(address_of(node.api)), server_hostname="127.0.0.1") as connection:
        return connection.getpeercert(binary_form=True)


def test_sighup_loads_at_once_and_what_cannot_be_used_changes_nothing(region, others_are_served):
    node = region.regions[REGION][0]
    admin = (region.identities["admin"]["cert"], region.identities["admin"]["key"])
    certificate = pathlib.Path(node.config).parent / "tls" / "api.pem"

    def hangup(outcome):
        """Whatever has changed, or nothing at all: every endpoint says how it went."""
        count = lambda: labelled(node, "claviger_tls_reloads_total", listener="api", outcome=outcome)
        before = count()
        os.kill(node.pid, signal.SIGHUP)
        wait_until(lambda: count() > before, 30, f"SIGHUP is heard, and the api listener's files are {outcome}")

    hangup("ok")
    good, before = certificate.read_bytes(), shown(node, region.contract["ca"], admin)
    logged = os.path.getsize(node.log)
    certificate.write_text("junk")
    hangup("failed")
    with open(node.log) as log:
        log.seek(logged)
        assert any(str(certificate) in line and "not PEM" in line for line in log), "the log names the file and what is wrong"
    assert shown(node, region.contract["ca"], admin) == before
    others_are_served.progress()
    certificate.write_bytes(good)
    hangup("ok")


def test_every_certificate_and_ca_is_replaced_under_a_running_region(tmp_path):
    """New node certificates, then a new CA: a bundle of both, certificates of the new one, the new one alone. No request of
    a client that follows fails, though none is repeated."""
    region = Deployment(tmp_path, regions=REGION)
    try:
        rotate(region, tmp_path)
    finally:
        region.stop()


def rotate(region, tmp_path):
    nodes = region.regions[REGION]
    old_pki, new_pki = pki_of(region), tmp_path / "new-pki"
    claviger("pki", "init", "--dir", new_pki, "--trust-domain", region.contract["trust_domain"])
    # Clients trust both CAs from the start.
    bundle = tmp_path / "bundle.pem"
    bundle.write_text((old_pki / "api-ca.pem").read_text() + (new_pki / "api-ca.pem").read_text())
    region.contract["ca"] = str(bundle)
    old = (region.identities["admin"]["cert"], region.identities["admin"]["key"])
    key_id = region.kms(REGION).create_key()["KeyMetadata"]["KeyId"]
    loads = {}

    def loaded_by(change):
        """Makes a change and waits until all endpoints of all nodes have loaded it."""

        def count(node, outcome):
            listeners = ["api", "peer", "peer-client"]
            return [labelled(node, "claviger_tls_reloads_total", listener=name, outcome=outcome) for name in listeners]

        before = {node.id: count(node, "ok") for node in nodes}
        change()
        done = lambda node: all(now > then for now, then in zip(count(node, "ok"), before[node.id]))
        wait_until(lambda: all(done(node) for node in nodes), 60, "every endpoint has loaded its files again")
        loads.update({node.id: sum(count(node, "failed")) for node in nodes})

    def new_certificates(pki, out):
        for node in nodes:
            sans = ["--san", "127.0.0.1", "--san", "localhost"]
            claviger("pki", "node", "--dir", pki, "--out", out / str(node.id), "--region", REGION, "--id", node.id, *sans)
            replace(pathlib.Path(node.config).parent / "tls", out / str(node.id))

    def new_cas(*pkis):
        for name in ("api-ca.pem", "peer-ca.pem"):
            text = "".join((pki / name).read_text() for pki in pkis)
            for node in nodes:
                path = pathlib.Path(node.config).parent / "tls" / name
                path.with_suffix(".new").write_text(text)
                os.rename(path.with_suffix(".new"), path)

    with Traffic([region.kms(REGION, node, attempts=1) for node in range(3)], key_id) as traffic:
        before = [shown(node, bundle, old) for node in nodes]
        loaded_by(lambda: new_certificates(old_pki, tmp_path / "renewed"))
        assert not set(before) & {shown(node, bundle, old) for node in nodes}
        traffic.progress()
        loaded_by(lambda: new_cas(old_pki, new_pki))
        loaded_by(lambda: new_certificates(new_pki, tmp_path / "of-new-ca"))
        traffic.progress()
        stays = [Http1(region, node, old) for node in range(3)]
        body = json.dumps({"KeyId": key_id, "Plaintext": "eA=="}).encode()
        assert all(is_served(each.ask(ENCRYPT, body)) for each in stays)

    # The clients' turn.
    renewed = tmp_path / "admin-of-new-ca"
    claviger("pki", "client", "--dir", new_pki, "--out", renewed, "--identity", "111122223333/user/admin")
    region.identities["admin"].update(cert=f"{renewed}.pem", key=f"{renewed}.key")
    with Traffic([region.kms(REGION, node, attempts=1) for node in range(3)], key_id) as traffic:

        def only_the_new_one():
            new_cas(new_pki)
            for node in nodes:
                os.kill(node.pid, signal.SIGHUP)

        loaded_by(only_the_new_one)
        traffic.progress()
        # Who has not followed is out, on live connections too.
        assert all(is_refused(each.ask(ENCRYPT, body)) for each in stays)
        for node in nodes:
            with pytest.raises((ssl.SSLError, ConnectionError)), connect(node.api, tls_as(region, old)) as connection:
                connection.recv(1)
    assert not any(loads.values()), "a half-replaced pair of files was loaded"
