"""The local agent: boto3, raw requests and the AWS CLI through it, at the deployment's own agent and at others of a test's own."""

import base64
import concurrent.futures
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from deployment import BINARY, wait_until

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1"]
REGION = REGIONS[0]
PAGE = pathlib.Path(__file__).parents[2] / "docs/aws-cli.md"


def refused(call, code):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    assert error["Error"]["Code"] == code, error
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Error"]["Message"]


def metric(url, name, **labels):
    """The sum of a metric's values that have these labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.split()[-1]) for line in lines if all(f'{label}="{value}"' in line for label, value in labels.items()))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Agent:
    """An agent of a test's own, with the deployment's identities and an access key for each."""

    def __init__(self, deployment, directory, regions=None, filter="info", limits=""):
        self.deployment, self.directory = deployment, pathlib.Path(directory)
        self.config, self.log = self.directory / "agent.toml", self.directory / "agent.log"
        self.port, self.metrics_port = free_port(), free_port()
        self.endpoint, self.metrics = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.metrics_port}"
        regions = regions or {region: [node.api for node in nodes] for region, nodes in deployment.regions.items()}
        lines = [
            f'ca = "{deployment.contract["ca"]}"', "[listen]", f'tcp = "127.0.0.1:{self.port}"',
            f'metrics = "127.0.0.1:{self.metrics_port}"', 'socket = "agent.sock"', "[limits]", limits, "[log]", f'filter = "{filter}"',
        ]
        for region, nodes in regions.items():
            lines += ["[[regions]]", f'name = "{region}"', f"nodes = {json.dumps(nodes)}"]
        for name, who in deployment.identities.items():
            lines += ["[[identities]]", f'name = "{name}"', f'certificate = "{who["cert"]}"', f'key = "{who["key"]}"']
        self.config.write_text("\n".join(lines))
        self.process = None

    def command(self, *arguments, config=True):
        where = ["--config", str(self.config)] if config else []
        return subprocess.run([BINARY, "agent", *arguments, *where], capture_output=True, text=True, timeout=60)

    def json(self, *arguments):
        ran = self.command(*arguments, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def start(self):
        log = open(self.log, "ab")
        command = [BINARY, "agent", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def listens():
            assert self.process.poll() is None, self.log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            return False

        wait_until(listens, 60, "the agent listens")
        return self

    def kms(self, region=REGION, identity="admin", key=None, **options):
        key = key or self.json("access-key", "create", "--identity", identity)
        secrets = {"aws_access_key_id": key["access_key_id"], "aws_secret_access_key": key["secret_access_key"]}
        return self.deployment.agent(region, identity, endpoint=self.endpoint, **secrets, **options)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(60) == 0, self.log.read_text()


@pytest.fixture
def make_agent(deployment, tmp_path):
    made = []

    def make(**options):
        directory = tmp_path / f"agent-{len(made)}"
        directory.mkdir()
        made.append(Agent(deployment, directory, **options))
        return made[-1]

    yield make
    for agent in made:
        agent.stop()


# Who may ask, and for what.


def test_one_endpoint_serves_every_region_as_every_identity(deployment):
    for region in REGIONS:
        for name, who in deployment.identities.items():
            kms = deployment.agent(region, name)
            if name in ["root", "admin", "other-root"]:
                assert kms.create_key()["KeyMetadata"]["Arn"].startswith(f"arn:aws:kms:{region}:{who['account']}:key/")
            else:
                assert f":user/{name} is not authorized" in refused(kms.create_key, "AccessDeniedException")
    own = deployment.agent(REGION, "admin")
    key = own.create_key()["KeyMetadata"]["Arn"]
    blob = own.encrypt(KeyId=key, Plaintext=b"through the agent", EncryptionContext={"a": "b"})["CiphertextBlob"]
    opened = deployment.kms(REGION, 2, identity="root").decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == b"through the agent"
    answer = refused(lambda: deployment.agent(REGION, "carol").decrypt(CiphertextBlob=blob), "AccessDeniedException")
    assert "not allowed to access" in answer, "a node's refusal arrives in its own words"


def test_answers_are_those_of_the_nodes(deployment):
    kms = deployment.agent(REGION)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    answer = kms.disable_key(KeyId=key)["ResponseMetadata"]
    assert answer["RequestId"] and answer["HTTPHeaders"]["content-length"] == "0"
    message = refused(lambda: kms.encrypt(KeyId=key, Plaintext=b"x"), "DisabledException")
    assert message == f"arn:aws:kms:{REGION}:111122223333:key/{key} is disabled."
    too_long = refused(lambda: kms.encrypt(KeyId=key, Plaintext=b"x" * 4097), "ValidationException")
    assert "'plaintext'" in too_long
    refused(lambda: kms.describe_custom_key_stores(), "UnsupportedOperationException")


def test_a_wrong_secret_an_unknown_key_and_a_session_token_are_refused(deployment):
    before = metric(deployment.contract["agent_process"]["metrics"], "claviger_agent_refused_total")
    wrong = deployment.agent(REGION, aws_secret_access_key=deployment.identities["bob"]["secret_access_key"])
    assert "does not match" in refused(wrong.list_keys, "InvalidSignatureException")
    unknown = deployment.agent(REGION, aws_access_key_id="AKIAUNKNOWNUNKNOWN01")
    assert "security token" in refused(unknown.list_keys, "UnrecognizedClientException")
    temporary = deployment.agent(REGION, aws_session_token="token")
    refused(temporary.list_keys, "UnrecognizedClientException")
    assert metric(deployment.contract["agent_process"]["metrics"], "claviger_agent_refused_total") == before + 3


@pytest.mark.parametrize(("minutes", "words"), [(-6, "Signature expired"), (6, "Signature not yet current")])
def test_a_clock_six_minutes_off_is_refused(deployment, monkeypatch, minutes, words):
    kms = deployment.agent(REGION)
    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: now(*a, **k) + datetime.timedelta(minutes=minutes))
    assert words in refused(kms.list_keys, "InvalidSignatureException")
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *a, **k: now(*a, **k) + datetime.timedelta(minutes=minutes * 2 / 3)
    )
    kms.list_keys()


def test_a_region_that_is_not_served_is_named_with_those_that_are(deployment):
    message = refused(deployment.agent("eu-central-1").list_keys, "InvalidSignatureException")
    assert "'eu-central-1'" in message and all(region in message for region in REGIONS), message


class Raw:
    """A request as it goes over the wire, signed by botocore and open to be changed afterwards."""

    def __init__(self, deployment, operation, body, region=REGION, service="kms"):
        who = deployment.identities["admin"]
        self.address = urllib.parse.urlsplit(deployment.contract["agent"]).netloc
        self.method, self.path, self.body = "POST", "/", body
        request = AWSRequest("POST", deployment.contract["agent"] + "/", data=body)
        request.headers["Content-Type"] = "application/x-amz-json-1.1"
        request.headers["X-Amz-Target"] = f"TrentService.{operation}"
        botocore.auth.SigV4Auth(Credentials(who["access_key_id"], who["secret_access_key"]), service, region).add_auth(request)
        self.headers = {"Host": self.address, **dict(request.headers.items())}

    def send(self, sock=None):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.sock = sock
        with contextlib.closing(connection):
            connection.putrequest(self.method, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(self.body)))
            connection.endheaders(self.body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")


def test_what_was_changed_after_signing_is_refused(deployment):
    def raw():
        return Raw(deployment, "GenerateRandom", b'{"NumberOfBytes":16}')

    status, answer = raw().send()
    assert status == 200 and len(base64.b64decode(answer["Plaintext"])) == 16

    def changed(change, code="InvalidSignatureException"):
        request = raw()
        change(request)
        status, answer = request.send()
        assert (status, answer.get("__type")) == (400, code), answer

    changed(lambda request: setattr(request, "body", b'{"NumberOfBytes":17}'))
    changed(lambda request: request.headers.update({"X-Amz-Target": "TrentService.ListKeys"}))
    changed(lambda request: request.headers.update({"Host": "localhost"}))
    changed(lambda request: request.headers.update({"Content-Type": "application/json"}))
    changed(lambda request: request.headers.update({"X-Amz-Extra": "unsigned"}))
    changed(lambda request: setattr(request, "path", "/?Action=ListKeys"))
    changed(lambda request: request.headers.pop("Authorization"), "MissingAuthenticationTokenException")
    changed(lambda request: request.headers.update({"Authorization": "Bearer x"}), "IncompleteSignatureException")

    def other_scope(request):
        request.headers["Authorization"] = request.headers["Authorization"].replace(f"/{REGION}/", f"/{REGIONS[1]}/")

    changed(other_scope)
    status, answer = Raw(deployment, "ListKeys", b"{}", service="s3").send()
    assert (status, answer["__type"]) == (400, "InvalidSignatureException") and "'kms'" in answer["message"]


def test_a_signature_in_the_query_string_is_refused(deployment):
    url = deployment.agent(REGION).generate_presigned_url("list_keys")
    assert "X-Amz-Signature=" in url
    # The type that Python would give it is that of a request of STS.
    request = urllib.request.Request(url, data=b"", method="POST", headers={"Content-Type": "application/x-amz-json-1.1"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    answer = json.loads(caught.value.read())
    assert (caught.value.code, answer["__type"]) == (400, "MissingAuthenticationTokenException")
    assert "query-string" in answer["message"]


def test_the_unix_socket_is_private_and_asks_for_a_signature_too(deployment):
    path = pathlib.Path(deployment.contract["agent_process"]["config"]).parent / "agent.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def dial():
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(path))
        return connected

    assert Raw(deployment, "GenerateRandom", b'{"NumberOfBytes":1}').send(dial())[0] == 200
    unsigned = Raw(deployment, "GenerateRandom", b'{"NumberOfBytes":1}')
    del unsigned.headers["Authorization"]
    assert unsigned.send(dial())[0] == 400


def listening_addresses(pid):
    """The TCP addresses that a process listens on, by the kernel's own tables."""
    inodes = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                inodes.add(found[1])
    addresses = []
    for table in ["tcp", "tcp6"]:
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.append((table, fields[1].split(":")[0]))
    return addresses


def test_nobody_outside_this_machine_can_reach_it(deployment, make_agent):
    # 127.0.0.1 as the kernel writes it.
    assert listening_addresses(deployment.contract["agent_process"]["pid"]) == [("tcp", "0100007F")] * 2
    port = urllib.parse.urlsplit(deployment.contract["agent"]).port
    for address in {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
        if not address.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((address, port), timeout=5)
    for field, address in [("tcp", "0.0.0.0"), ("tcp", "192.0.2.1"), ("metrics", "0.0.0.0")]:
        agent = make_agent()
        text = agent.config.read_text()
        agent.config.write_text(re.sub(rf'{field} = "127.0.0.1:', f'{field} = "{address}:', text))
        ran = agent.command()
        assert ran.returncode != 0 and "must be a loopback address" in ran.stderr, ran.stderr


# Access keys, profiles, files.


def test_access_keys_are_made_listed_and_deleted_while_the_agent_runs(make_agent):
    agent = make_agent().start()
    shown = agent.command("access-key", "create", "--identity", "admin")
    assert shown.returncode == 0 and re.search(r"aws_access_key_id = AKIA[A-Z2-7]{16}\naws_secret_access_key = \S{40}\n", shown.stdout)
    key = agent.json("access-key", "create", "--identity", "admin")
    file = agent.directory / "agent-credentials"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and key["secret_access_key"] in file.read_text()
    listed = agent.command("access-key", "list")
    assert key["access_key_id"] in listed.stdout and key["secret_access_key"] not in listed.stdout
    assert [entry["identity"] for entry in agent.json("access-key", "list")] == ["admin", "admin"]
    kms = agent.kms(key=key)

    def served():
        with contextlib.suppress(ClientError):
            return kms.list_keys()
        return None

    wait_until(served, 30, "the agent accepts the new key")
    assert agent.json("access-key", "delete", key["access_key_id"])["deleted"]
    assert not agent.json("access-key", "delete", key["access_key_id"])["deleted"], "the second time changes nothing"
    wait_until(lambda: not served(), 30, "the agent refuses the deleted key")
    refused(kms.list_keys, "UnrecognizedClientException")

    stranger = agent.command("access-key", "create", "--identity", "mallory")
    assert stranger.returncode != 0 and "alice" in stranger.stderr
    file.chmod(0o644)
    exposed = agent.command("access-key", "list")
    assert exposed.returncode != 0 and "chmod 600" in exposed.stderr


def aws(deployment, config, *arguments, home, **options):
    """The AWS CLI of this environment, which sees nothing of the caller's own AWS settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"HOME": str(home), "AWS_CONFIG_FILE": str(config), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(arguments, env=environment, cwd=deployment.directory, capture_output=True, text=True, timeout=300, **options)


def test_the_profile_file_is_private_and_works(deployment, make_agent, tmp_path):
    agent = make_agent().start()
    without = agent.command("profile")
    assert without.returncode != 0 and "access-key create" in without.stderr
    for name in ["admin", "other-root"]:
        agent.json("access-key", "create", "--identity", name)
    written = agent.json("profile")
    assert written["changed"] and written["profiles"] == ["admin", "other-root"]
    file = pathlib.Path(written["path"])
    assert file == agent.directory / "aws-config" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not agent.json("profile")["changed"], "the second time changes nothing"
    foreign = tmp_path / "config"
    foreign.write_text("[default]\nregion = eu-west-1\n")
    foreign.chmod(0o600)
    kept = agent.command("profile", "--out", str(foreign))
    assert kept.returncode != 0 and "was not made by" in kept.stderr and "default" in foreign.read_text()

    def create(*options):
        command = ["aws", "kms", "create-key", "--query", "KeyMetadata.Arn", "--output", "text", *options]
        ran = aws(deployment, file, *command, home=tmp_path)
        return ran.returncode == 0 and ran.stdout.strip()

    arn = wait_until(create, 60, "the agent accepts the key of the profile")
    assert arn.startswith("arn:aws:kms:eu-west-1:111122223333:key/")
    assert create("--profile", "other-root", "--region", "ap-south-1").startswith("arn:aws:kms:ap-south-1:444455556666:key/")


# Nodes that go and come back.


def test_nodes_die_under_load_and_no_request_fails(deployment):
    """1,200 requests through the agent with an SDK's usual three attempts, while each node of the region dies and comes back."""
    metrics = deployment.contract["agent_process"]["metrics"]
    kms = deployment.agent(REGION, attempts=3)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    before = metric(metrics, "claviger_agent_failovers_total", region=REGION)

    def one(number):
        plaintext = f"message {number}".encode()
        sealed = kms.encrypt(KeyId=key, Plaintext=plaintext)
        opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])
        assert opened["Plaintext"] == plaintext
        return sealed["ResponseMetadata"]["RetryAttempts"] + opened["ResponseMetadata"]["RetryAttempts"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(one, number) for number in range(600)]
        for position, node in enumerate(deployment.regions[REGION]):
            wait_until(lambda: sum(future.done() for future in futures) >= 150 * (position + 1), 120, "requests go on")
            node.kill()
            node.start()
            node.await_ready()
        retries = sum(future.result() for future in futures)
    assert metric(metrics, "claviger_agent_failovers_total", region=REGION) > before, "the agent went on to other nodes"
    assert retries <= 6, "the agent, and not the SDK, mends a lost node"
    assert metric(metrics, "claviger_agent_failovers_total", region=REGIONS[1]) == 0


class Proxy:
    """Before a node: passes bytes on, until it is told to lose answers. Then a request reaches the node and its answer nobody."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.target = (parts.hostname, parts.port)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.server.getsockname()[1]}"
        self.losing = False
        self.lost = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.relay, args=(self.server.accept()[0],), daemon=True).start()

    def relay(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(self.target) as node:
            while True:
                for ready in select.select([client, node], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is node and self.losing:
                        self.lost += 1
                        return
                    (node if ready is client else client).sendall(data)

    def close(self):
        self.server.close()


def test_a_write_whose_answer_is_lost_is_repeated_at_another_node_and_happens_once(deployment, make_agent):
    nodes = deployment.regions[REGION]
    proxy = Proxy(nodes[0].api)
    try:
        agent = make_agent(regions={REGION: [proxy.url, nodes[1].api]})
        kms = agent.kms(identity="other-root", attempts=1)
        agent.start()
        listed = {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}
        made = []

        def lose_one():
            # On a connection that is up already: a handshake has answers too, and is not to be lost.
            proxy.losing = False
            warm = metric(agent.metrics, "claviger_agent_node_connections", node=proxy.url)
            kms.generate_random(NumberOfBytes=1)
            if not warm:
                return 0
            proxy.losing = True
            made.append(kms.create_key()["KeyMetadata"]["KeyId"])
            return proxy.lost

        wait_until(lambda: lose_one() >= 3, 120, "three answers are lost")
        proxy.losing = False
        assert metric(agent.metrics, "claviger_agent_failovers_total", region=REGION, reason="broken") >= 3
        after = {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}
        assert after - listed == set(made) and len(set(made)) == len(made)
    finally:
        proxy.close()


def test_a_node_that_is_silent_is_left_for_another(deployment, make_agent):
    """A stopped process takes connections and never answers; requests go on to the others and then avoid it."""
    agent = make_agent(limits="connect_timeout_ms = 500\nanswer_timeout_ms = 5000")
    kms = agent.kms(attempts=1)
    agent.start()
    leader = deployment.leader(REGION)
    silent = next(node for node in deployment.regions[REGION] if node is not leader)
    os.kill(silent.pid, signal.SIGSTOP)
    try:
        for _ in range(12):
            kms.generate_random(NumberOfBytes=1)
    finally:
        os.kill(silent.pid, signal.SIGCONT)
    assert metric(agent.metrics, "claviger_agent_failovers_total", region=REGION) >= 1
    wait_until(lambda: kms.generate_random(NumberOfBytes=1) and "the node answers again" in agent.log.read_text(), 60, "it is asked again")


def test_a_region_that_is_down_is_said_to_be_and_no_other_is_asked(deployment, make_agent):
    agent = make_agent(regions={REGION: [f"https://127.0.0.1:{free_port()}"], REGIONS[1]: [deployment.regions[REGIONS[1]][0].api]})
    kms = agent.kms(attempts=1)
    agent.start()
    with pytest.raises(ClientError) as caught:
        kms.list_keys()
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("DependencyTimeoutException", 503)
    assert f"No node of {REGION}" in error["Error"]["Message"]
    assert metric(agent.metrics, "claviger_agent_node_connections", region=REGIONS[1]) == 0


# Secrets.


def test_no_secret_is_in_the_log_at_its_most_talkative(deployment, make_agent):
    agent = make_agent(filter="trace")
    key = agent.json("access-key", "create", "--identity", "admin")
    kms = agent.kms(key=key)
    agent.start()
    plaintext = b"the plaintext that nobody may see"
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=plaintext)["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=blob)
    data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")["Plaintext"]
    signatures = []
    kms.meta.events.register("before-send.kms.*", lambda request, **_: signatures.append(request.headers["Authorization"].decode()))
    kms.list_keys()
    wrong = agent.kms(key={**key, "secret_access_key": "wrong" * 8})
    refused(wrong.list_keys, "InvalidSignatureException")
    wait_until(lambda: "mismatch" in agent.log.read_text(), 30, "the refusal is logged")
    log = agent.log.read_text()
    assert key["access_key_id"] in log
    signature = signatures[0].rpartition("Signature=")[2]
    assert len(signature) == 64
    for secret in [plaintext, data_key]:
        for form in [secret, base64.b64encode(secret), secret.hex().encode(), str(list(secret))[1:-1].encode()]:
            assert form not in log.encode()
    for text in [key["secret_access_key"], "wrong" * 8, signature]:
        assert text not in log


# The AWS CLI.


def test_the_line_that_the_demo_prints_works_as_printed(deployment, tmp_path):
    printed = (deployment.directory / "demo.out").read_text()
    (line,) = [line for line in printed.splitlines() if line.startswith("AWS_CONFIG_FILE=")]
    assert line.endswith(" aws kms list-keys")
    ran = aws(deployment, "/nonexistent", "sh", "-c", line, home=tmp_path)
    assert ran.returncode == 0 and "Keys" in json.loads(ran.stdout), ran.stderr
    file = pathlib.Path(deployment.contract["aws_config"])
    assert f"AWS_CONFIG_FILE={file} " in line and stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_session_of_the_documentation_works_as_pasted(deployment, tmp_path):
    session = PAGE.read_text().split("```sh\n")[1].split("```")[0]
    ran = aws(deployment, "/nonexistent", "bash", "-euo", "pipefail", "-c", session, home=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for expected in ["the combination is 12345\n", '"Creating"\n', "backup.tar: OK\n", "refused, as it should be\n", '"Description": "backups"']:
        assert expected in ran.stdout, ran.stdout + ran.stderr
    assert "DisabledException" in ran.stderr
    encrypted = (deployment.directory / "backup.tar.enc").read_bytes()
    assert len(encrypted) > 1_000_000 and (deployment.directory / "backup.tar").read_bytes()[:1000] not in encrypted
