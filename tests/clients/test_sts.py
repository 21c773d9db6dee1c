"""GetCallerIdentity through the agent, with AWS's own client of STS."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1"]


def sts(deployment, identity, region=REGIONS[0], **keys):
    who = deployment.identities[identity]
    return boto3.client(
        "sts",
        region_name=region,
        endpoint_url=deployment.contract["agent"],
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
        **{"aws_access_key_id": who["access_key_id"], "aws_secret_access_key": who["secret_access_key"], **keys},
    )


def refused(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def test_each_access_key_is_told_who_it_is_at_every_region(deployment):
    for region in REGIONS:
        for name, who in deployment.identities.items():
            answer = sts(deployment, name, region).get_caller_identity()
            user_id = who["account"] if name.endswith("root") else name
            assert (answer["Arn"], answer["Account"], answer["UserId"]) == (who["arn"], who["account"], user_id)


def test_refusals_are_those_of_sts(deployment):
    secret = deployment.identities["bob"]["secret_access_key"]
    assert refused(sts(deployment, "alice", aws_secret_access_key=secret).get_caller_identity) == (403, "SignatureDoesNotMatch")
    unknown = sts(deployment, "alice", aws_access_key_id="AKIAUNKNOWNUNKNOWN01")
    assert refused(unknown.get_caller_identity) == (403, "InvalidClientTokenId")
    elsewhere = sts(deployment, "alice", "eu-central-1")
    assert refused(elsewhere.get_caller_identity) == (403, "SignatureDoesNotMatch")
    role = {"RoleArn": "arn:aws:iam::111122223333:role/app", "RoleSessionName": "one"}
    assert refused(lambda: sts(deployment, "alice").assume_role(**role)) == (400, "InvalidAction")
