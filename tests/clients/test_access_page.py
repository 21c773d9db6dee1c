"""docs/access.md: the console's default policy and all that follows it, as pasted. Each refusal that it shows is one for want of rights."""

import pathlib
import re

from deployment import Deployment
from pasted import blocks, paste

PAGE = pathlib.Path(__file__).parents[2] / "docs/access.md"
LOCKED_OUT = "admin: may not lock itself out"


def test_the_session_of_the_page_works_as_pasted(tmp_path):
    session = "".join(blocks(PAGE))
    # It changes identities, so it has regions of its own.
    deployment = Deployment(tmp_path, nodes=1)
    try:
        status, text = paste(session, tmp_path, "-euo", "pipefail")
    finally:
        deployment.stop()
    assert status == 0, text

    lines = [line for line in text.splitlines() if line]
    refusals = re.findall(r'\|\|\s+echo "([^"]+)"', session)
    said = [line for line in lines if line in refusals]
    assert len(refusals) >= 16 and said == refusals, text
    for refusal in refusals:
        code = "MalformedPolicyDocumentException" if refusal == LOCKED_OUT else "AccessDeniedException"
        assert f"({code})" in lines[lines.index(refusal) - 1], f"{refusal}: {text}"
    # Nothing else was refused.
    assert len(re.findall(r"\(\w+Exception\)", text)) == len(refusals), text

    decrypted = session.count("Plaintext --output text | base64 --decode\n")
    assert decrypted >= 8 and text.count("the combination is 12345\n") == decrypted, text
    for arn in ["111122223333:user/admin", "111122223333:user/alice", "444455556666:user/carol"]:
        assert f"arn:aws:iam::{arn}" in lines[:8] or f'    "Arn": "arn:aws:iam::{arn}"' in lines[:8], text
    assert '    "UserId": "admin",' in lines and '    "Account": "111122223333",' in lines, text
    assert '"Id" : "key-default-1"' in text and '"managed by alice"\n' in text, text
    assert text.count("2 changes made\n") == text.count("1 change made\n") == 3, text
    assert text.count("is denied everything from now on\n") == text.count("is denied no longer\n") == 3, text
