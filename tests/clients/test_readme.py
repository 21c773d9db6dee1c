"""The README's first ten minutes with the AWS CLI, as pasted."""

import pathlib

from deployment import Deployment
from pasted import blocks, paste

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_first_ten_minutes_work_as_pasted(tmp_path):
    block = blocks(README)[0]
    deployment = Deployment(tmp_path, nodes=3)
    try:
        status, text = paste(block, tmp_path)
    finally:
        deployment.stop()
    assert status == 0, text
    assert text.count("hello\n") == 3, text
    assert "DisabledException" in text and "refused in us-east-1\n" in text, text
    assert "written without node " in text, text
    arns = [line.strip('"') for line in text.splitlines() if line.strip('"').startswith("arn:aws:kms:")]
    assert [arn.split(":")[3] for arn in arns] == ["ap-south-1", "ap-south-1", "eu-west-1"], text
