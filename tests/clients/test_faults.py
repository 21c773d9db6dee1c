"""Promises under faults: nodes are killed, leaders lost, regions stopped."""

import concurrent.futures
import itertools
import threading

import pytest
from botocore.exceptions import ClientError

from deployment import Deployment, wait_until

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1"]


def test_leader_killed_amid_creates_every_acknowledged_key_is_there_once(deployment):
    """200 concurrent creates with retries while the leader dies: every acknowledged key is there, none twice."""
    region = "eu-west-1"
    leader = deployment.leader(region)
    others = [index for index, node in enumerate(deployment.regions[region]) if node is not leader]
    clients = [deployment.kms(region, index, identity="root", attempts=10) for index in others]
    before = {key["KeyId"] for page in clients[0].get_paginator("list_keys").paginate() for key in page["Keys"]}
    started = threading.Semaphore(0)

    def create(number):
        started.release()
        return clients[number % 2].create_key(Description=f"create {number}")["KeyMetadata"]["KeyId"]

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(create, number) for number in range(200)]
        for _ in range(60):
            started.acquire()
        leader.kill()
        acknowledged = [future.result() for future in futures]
    leader.start()
    leader.await_ready()
    assert len(set(acknowledged)) == 200
    for client in clients:
        after = {key["KeyId"] for page in client.get_paginator("list_keys").paginate() for key in page["Keys"]}
        assert after - before == set(acknowledged), "a retried create happened twice, or an acknowledged one is lost"


def test_disable_is_seen_by_every_node_at_once(deployment):
    """P2, a thousand times: once DisableKey has answered, no node of the region encrypts."""
    region = "us-east-1"
    key_id = deployment.kms(region).create_key()["KeyMetadata"]["KeyId"]
    clients = [deployment.kms(region, node) for node in range(3)]
    pool = concurrent.futures.ThreadPoolExecutor(3)

    def refused(client):
        try:
            client.encrypt(KeyId=key_id, Plaintext=b"x")
        except ClientError as error:
            return error.response["Error"]["Code"] == "DisabledException"
        return False

    def served(client):
        return len(client.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]) > 0

    for round_number in range(1000):
        clients[round_number % 3].disable_key(KeyId=key_id)
        assert all(pool.map(refused, clients)), f"a node served a disabled key in round {round_number}"
        clients[(round_number + 1) % 3].enable_key(KeyId=key_id)
        assert all(pool.map(served, clients)), f"a node refused an enabled key in round {round_number}"
    pool.shutdown()


def test_a_thousand_ciphertexts_open_while_nodes_die(deployment):
    """1,000 Encrypt in the first region, all decrypted in both others while one node of each region is killed and restarted."""
    key_id = deployment.create_everywhere()
    encryptors = [deployment.kms("eu-west-1", node, attempts=10) for node in range(3)]
    decryptors = [[deployment.kms(region, node, attempts=10) for node in range(3)] for region in REGIONS[1:]]
    turn = itertools.count()

    def one(number):
        plaintext = f"message {number}".encode()
        blob = encryptors[number % 3].encrypt(KeyId=key_id, Plaintext=plaintext)["CiphertextBlob"]
        for nodes in decryptors:
            assert nodes[number % 3].decrypt(CiphertextBlob=blob)["Plaintext"] == plaintext
        next(turn)
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(one, number) for number in range(1000)]
        for position, region in enumerate(REGIONS):
            wait_until(lambda: sum(future.done() for future in futures) >= 200 * (position + 1), 120, "requests go on")
            node = deployment.regions[region][position]
            node.kill()
            node.start()
        assert all(future.result() for future in futures)
    for position, region in enumerate(REGIONS):
        deployment.regions[region][position].await_ready()


@pytest.mark.parametrize("stopped", ["us-east-1"])
def test_a_replica_region_that_was_down_catches_up(deployment, stopped):
    """A whole replica region is killed, keys change meanwhile; after its return it serves them all."""
    first = deployment.kms("eu-west-1")
    known = deployment.create_everywhere()
    for node in deployment.regions[stopped]:
        node.kill()
    # The key gains nothing here that needs the stopped region; keys that do not touch it go on being made.
    made = [first.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"] for _ in range(20)]
    for key_id in made:
        first.replicate_key(KeyId=key_id, ReplicaRegion="ap-south-1")
    blob = first.encrypt(KeyId=known, Plaintext=b"while away")["CiphertextBlob"]
    with pytest.raises(ClientError):
        deployment.kms("eu-west-1", attempts=1).replicate_key(KeyId=made[0], ReplicaRegion=stopped)
    for node in deployment.regions[stopped]:
        node.start()
    for node in deployment.regions[stopped]:
        node.await_ready()
    assert deployment.kms(stopped).decrypt(CiphertextBlob=blob)["Plaintext"] == b"while away"
    for key_id in made:
        first.replicate_key(KeyId=key_id, ReplicaRegion=stopped)
    for key_id in made:
        deployment.await_enabled(stopped, key_id)
        configuration = deployment.kms(stopped).describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]
        assert {replica["Region"] for replica in configuration["ReplicaKeys"]} == {"us-east-1", "ap-south-1"}


def test_a_document_that_changes_while_a_replica_is_down_reaches_it(tmp_path):
    """The replica misses a change of the shared document itself: a third region joins the key while it is down."""
    deployment = Deployment(tmp_path, nodes=1)
    try:
        first = deployment.kms("eu-west-1")
        key_id = first.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
        first.replicate_key(KeyId=key_id, ReplicaRegion="us-east-1")
        deployment.await_enabled("us-east-1", key_id)
        (away,) = deployment.regions["us-east-1"]
        away.kill()
        first.replicate_key(KeyId=key_id, ReplicaRegion="ap-south-1")
        deployment.await_enabled("ap-south-1", key_id)
        away.start()
        away.await_ready()

        def sees_all():
            configuration = deployment.kms("us-east-1").describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]
            return {replica["Region"] for replica in configuration["ReplicaKeys"]} == {"us-east-1", "ap-south-1"}

        wait_until(sees_all, 60, "the returned replica holds the new document")
    finally:
        deployment.stop()
