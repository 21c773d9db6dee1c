"""A real deployment (regions x nodes, each node a process) and AWS's own client for it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import boto3
from botocore.config import Config
from shapes_of_answers import checked

BINARY = os.environ.get("CLAVIGER_BIN", str(pathlib.Path(__file__).parents[2] / "target/debug/claviger"))
START_SECONDS_MAX = 120


def wait_until(condition, seconds, what):
    """Waits for a condition, never for a time; `what` names it when it does not come true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Node:
    def __init__(self, region, entry):
        self.region = region
        self.__dict__.update(entry)
        self.process = None

    def kill(self, how=signal.SIGKILL):
        os.kill(self.pid, how)
        if self.process is not None:
            self.process.wait()
        else:
            wait_until(lambda: not alive(self.pid), 30, f"node {self.id} of {self.region} is gone")

    def start(self):
        log = open(self.log, "ab")
        command = [BINARY, "serve", "--config", self.config]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.metrics}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def await_ready(self, seconds=60):
        wait_until(self.is_ready, seconds, f"node {self.id} of {self.region} is ready")

    def metric(self, name):
        """The value of a metric that has no labels."""
        with urllib.request.urlopen(f"{self.metrics}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
        return None


def alive(pid):
    """Whether a process holds anything yet: its first thread can be a zombie while others still end."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except FileNotFoundError:
        return False


class PerThread:
    """A boto3 client for each thread that uses it.

    With a client certificate one client must not be shared: for every new connection urllib3 loads the certificate into
    the same OpenSSL context again, and a handshake in another thread at that moment can crash the interpreter.
    """

    _making = threading.Lock()

    def __init__(self, make):
        self._make = make
        self._local = threading.local()

    def __getattr__(self, name):
        if not hasattr(self._local, "client"):
            with self._making:
                self._local.client = self._make()
        return getattr(self._local.client, name)


class Deployment:
    def __init__(self, directory, regions="eu-west-1,us-east-1,ap-south-1", nodes=3):
        self.directory = pathlib.Path(directory)
        self.output = open(self.directory / "demo.out", "wb")
        command = [BINARY, "demo", "--dir", str(self.directory / "demo"), "--port-base", "0", "--regions", regions]
        command += ["--nodes", str(nodes), "--no-scenario", "--keep-running"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        contract = self.directory / "demo" / "demo.json"
        try:
            wait_until(lambda: contract.exists() or self._must_run(), START_SECONDS_MAX, "the deployment serves")
        except BaseException:
            sys.stderr.write((self.directory / "demo.out").read_text())
            self.stop()
            raise
        self.contract = json.loads(contract.read_text())
        self.regions = {
            region["name"]: [Node(region["name"], node) for node in region["nodes"]] for region in self.contract["regions"]
        }
        self.identities = {identity["name"]: identity for identity in self.contract["identities"]}

    def _must_run(self):
        if self.process.poll() is not None:
            raise AssertionError(f"claviger demo ended with {self.process.returncode}")

    def kms(self, region, node=0, identity="admin", attempts=5, timeout=20, **options):
        """boto3's KMS client at one node of a region, as one identity."""
        who = self.identities[identity]
        settings = Config(
            client_cert=(who["cert"], who["key"]),
            retries={"mode": "standard", "total_max_attempts": attempts},
            read_timeout=timeout,
            connect_timeout=5,
            max_pool_connections=64,
            **options,
        )
        return PerThread(
            lambda: checked(
                boto3.client(
                    "kms",
                    region_name=region,
                    endpoint_url=self.regions[region][node].api,
                    verify=self.contract["ca"],
                    aws_access_key_id=who["access_key_id"],
                    aws_secret_access_key=who["secret_access_key"],
                    config=settings,
                )
            )
        )

    def agent(self, region, identity="admin", attempts=5, timeout=60, endpoint=None, **keys):
        """boto3's KMS client of an agent, the deployment's own unless another is named. Threads may share it."""
        who = self.identities[identity]
        return boto3.client(
            "kms",
            region_name=region,
            endpoint_url=endpoint or self.contract["agent"],
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts}, read_timeout=timeout, max_pool_connections=64
            ),
            **{"aws_access_key_id": who["access_key_id"], "aws_secret_access_key": who["secret_access_key"], **keys},
        )

    def leader(self, region):
        """The node that leads a region, by its own metrics."""

        def find():
            for node in self.regions[region]:
                if node.is_ready() and node.metric("claviger_raft_is_leader") == 1:
                    return node
            return None

        return wait_until(find, 30, f"{region} has a leader")

    def create_everywhere(self, **options):
        """A multi-region key of the first region, enabled in all."""
        first, *others = self.regions
        key_id = self.kms(first).create_key(MultiRegion=True, **options)["KeyMetadata"]["KeyId"]
        for region in others:
            self.kms(first).replicate_key(KeyId=key_id, ReplicaRegion=region)
        for region in self.regions:
            self.await_enabled(region, key_id)
        return key_id

    def await_enabled(self, region, key_id, seconds=30):
        kms = self.kms(region)

        def enabled():
            try:
                return kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Enabled"
            except kms.exceptions.NotFoundException:
                return False

        wait_until(enabled, seconds, f"{key_id} is enabled in {region}")

    def stop(self):
        for nodes in getattr(self, "regions", {}).values():
            for node in nodes:
                if node.process is not None and node.process.poll() is None:
                    node.process.terminate()
                    node.process.wait(60)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.output.close()
