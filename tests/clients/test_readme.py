"""The README's first ten minutes with the AWS CLI, as pasted, by somebody who has nothing: an empty home and environment."""

import pathlib
import subprocess
import sys

from deployment import BINARY, Deployment

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_first_ten_minutes_work_as_pasted(tmp_path):
    block = README.read_text().split("```sh\n")[1].split("```")[0]
    home = tmp_path / "home"
    home.mkdir()
    tools = [pathlib.Path(BINARY).resolve().parent, pathlib.Path(sys.executable).parent, "/usr/local/bin", "/usr/bin", "/bin"]
    nothing = {"HOME": str(home), "PATH": ":".join(map(str, tools))}
    deployment = Deployment(tmp_path, nodes=3)
    try:
        # The nodes that it starts must not hold this pipe open.
        with open(tmp_path / "said", "w+") as said:
            ran = subprocess.run(["bash", "-c", block], env=nothing, cwd=tmp_path, stdout=said, stderr=subprocess.STDOUT, timeout=240)
            said.seek(0)
            text = said.read()
    finally:
        deployment.stop()
    assert ran.returncode == 0, text
    assert text.count("hello\n") == 3, text
    assert "DisabledException" in text and "refused in us-east-1\n" in text, text
    assert "written without node " in text, text
    arns = [line.strip('"') for line in text.splitlines() if line.strip('"').startswith("arn:aws:kms:")]
    assert [arn.split(":")[3] for arn in arns] == ["ap-south-1", "ap-south-1", "eu-west-1"], text
    assert not any(home.rglob("*credentials*")), "nothing is written to the home"
