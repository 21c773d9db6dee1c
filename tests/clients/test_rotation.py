"""Rotation of a multi-region key: in two phases, so that what any region returns opens in every other, at every moment."""

import json
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError

from deployment import BINARY, Deployment, wait_until

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1"]
HOME, AWAY, OTHER = REGIONS


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    deployment = Deployment(tmp_path_factory.mktemp("rotation"), regions=",".join(REGIONS), nodes=1)
    yield deployment
    deployment.stop()


class Load:
    """Encrypts in every region that is up, and opens each ciphertext at once in every other that is."""

    def __init__(self, world, key_id, regions):
        self.world, self.key_id = world, key_id
        self.regions = list(regions)
        self.blobs, self.failures = [], []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(region,)) for region in regions]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, home):
        clients = {region: self.world.kms(region) for region in self.regions}
        count = 0
        while not self.stopping.is_set():
            plaintext = f"{home} {count}".encode()
            try:
                blob = clients[home].encrypt(KeyId=self.key_id, Plaintext=plaintext)["CiphertextBlob"]
                for region, client in clients.items():
                    opened = client.decrypt(CiphertextBlob=blob)["Plaintext"]
                    assert opened == plaintext, f"{home} -> {region}"
                self.blobs.append((blob, plaintext))
            except Exception as error:
                self.failures.append(f"{home}: {error}")
                return
            count += 1


def material(kms, key_id):
    return kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")["KeyMaterialId"]


def rotations(kms, key_id):
    return kms.list_key_rotations(KeyId=key_id)["Rotations"]


def in_progress(kms, key_id):
    return "OnDemandRotationStartDate" in kms.get_key_rotation_status(KeyId=key_id)


def test_a_rotation_reaches_every_region_and_no_ciphertext_is_ever_unreadable(world):
    key_id = world.create_everywhere(Description="rotated")
    clients = {region: world.kms(region) for region in REGIONS}
    with pytest.raises(ClientError, match="UnsupportedOperationException"):
        clients[AWAY].rotate_key_on_demand(KeyId=key_id)
    with Load(world, key_id, REGIONS) as load:
        for number in range(1, 4):
            before = material(clients[HOME], key_id)
            clients[HOME].rotate_key_on_demand(KeyId=key_id)
            for kms in clients.values():
                wait_until(lambda kms=kms: len(rotations(kms, key_id)) == number, 30, "every region shows the rotation")
                assert material(kms, key_id) != before
            assert len({material(kms, key_id) for kms in clients.values()}) == 1
        wait_until(lambda: load.failures or len(load.blobs) > 30, 60, "the load has done something")
    assert not load.failures
    for region, kms in clients.items():
        for blob, plaintext in load.blobs:
            assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == plaintext, region


def test_a_rotation_waits_for_a_region_that_is_down(world):
    key_id = world.create_everywhere(Description="waits")
    home, other = world.kms(HOME), world.kms(OTHER)
    first = material(home, key_id)
    [node] = world.regions[AWAY]
    node.kill()
    with Load(world, key_id, [HOME, OTHER]) as load:
        home.rotate_key_on_demand(KeyId=key_id)
        assert in_progress(home, key_id)
        # The region that is up has the new material by then and says that it waits.
        wait_until(lambda: in_progress(other, key_id), 30, "the other replica has heard of it")
        with pytest.raises(ClientError, match="ConflictException"):
            home.rotate_key_on_demand(KeyId=key_id)
        pending = [entry for entry in home.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
                   if entry["KeyMaterialState"] == "PENDING_ROTATION"]
        assert len(pending) == 1 and not rotations(home, key_id)
        assert {material(home, key_id), material(other, key_id)} == {first}, "nobody encrypts with it"
        node.start()
        node.await_ready()
        away = world.kms(AWAY)
        for kms in [home, other, away]:
            wait_until(lambda kms=kms: len(rotations(kms, key_id)) == 1, 60, "the rotation is done once the region is back")
            assert material(kms, key_id) == pending[0]["KeyMaterialId"]
            assert not in_progress(kms, key_id)
    assert not load.failures
    for blob, plaintext in load.blobs:
        assert away.decrypt(CiphertextBlob=blob)["Plaintext"] == plaintext


def test_an_operator_detaches_a_region_that_stays_away(world):
    key_id = world.create_everywhere(Description="detached")
    home, other = world.kms(HOME), world.kms(OTHER)
    first = material(home, key_id)
    [node] = world.regions[AWAY]
    node.kill()
    home.rotate_key_on_demand(KeyId=key_id)
    assert in_progress(home, key_id) and material(home, key_id) == first
    contract = str(world.directory / "demo" / "demo.json")
    command = [BINARY, "region", "detach", AWAY, "--demo", contract, "--region", HOME, "--json"]
    done = json.loads(subprocess.check_output(command))
    assert done["changed"] and done["rotating"] == 1
    for kms in [home, other]:
        wait_until(lambda kms=kms: len(rotations(kms, key_id)) == 1, 30, "the rotation is done without it")
    blobs = [kms.encrypt(KeyId=key_id, Plaintext=b"without")["CiphertextBlob"] for kms in [home, other]]
    again = json.loads(subprocess.check_output(command))
    assert not again["changed"] and again["detached"] == 0
    node.start()
    node.await_ready()
    away = world.kms(AWAY)

    def has_caught_up():
        try:
            return material(away, key_id) == material(home, key_id)
        except ClientError as error:
            # Between hearing that it was detached and being active again.
            assert error.response["Error"]["Code"] == "KMSInvalidStateException", error
            return False

    wait_until(has_caught_up, 60, "it has caught up")
    for blob in blobs:
        assert away.decrypt(CiphertextBlob=blob)["Plaintext"] == b"without"
