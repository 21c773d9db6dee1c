"""A region of one node, and callers of any identity at it: each with its certificate, a connection of its own and no signature."""

import http.client
import json
import pathlib
import ssl
import subprocess
import urllib.parse

from deployment import BINARY, Deployment, wait_until

REGION = "eu-west-1"
HOME = "111122223333"
PARTNER = "444455556666"
THIRD = "777788889999"


def path_of(account, who):
    """The path of a principal's SPIFFE id."""
    return f"{account}/{who}"


def arn_of(account, who):
    """The principal's ARN: `root`, `user/<name>`, `role/<name>` or `role/<name>/<session>`."""
    if who.startswith("role/") and who.count("/") == 2:
        return f"arn:aws:sts::{account}:assumed-{who}"
    return f"arn:aws:iam::{account}:{who}"


def allow(principal, actions="kms:*", **more):
    named = principal if principal == "*" else {"AWS": principal}
    return {"Effect": "Allow", "Principal": named, "Action": actions, "Resource": "*", **more}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def own_policy(*actions, effect="Allow", resource="*"):
    return {"Effect": effect, "Action": list(actions), "Resource": resource}


class Refused(Exception):
    """An error that the service answered."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Caller:
    """One principal. Not for several threads at once."""

    def __init__(self, host, port, tls):
        self._connection = http.client.HTTPSConnection(host, port, context=tls, timeout=60)

    def ask(self, operation, **body):
        headers = {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        self._connection.request("POST", "/", json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        parsed = json.loads(text) if text else {}
        if answer.status != 200:
            raise Refused(parsed["__type"].rpartition("#")[2], parsed.get("message") or parsed.get("Message") or "")
        return parsed

    def close(self):
        self._connection.close()


class AccessRegion:
    """The region. Identities beside the demo's are applied from a file, as an operator does."""

    def __init__(self, directory):
        self.deployment = Deployment(directory, regions=REGION, nodes=1)
        self.directory = self.deployment.directory / "demo"
        self._issued = 0
        self._bind_third_account()

    def _bind_third_account(self):
        """The demo's CA may assert the demo's accounts alone: its binding is widened while the node runs."""
        config = pathlib.Path(self.deployment.regions[REGION][0].config)
        text = config.read_text()
        assert text.count("accounts = [") == 1
        config.write_text(text.replace("accounts = [", f'accounts = ["{THIRD}", '))
        caller = self.caller(THIRD, "root")

        def is_admitted():
            try:
                caller.ask("ListKeys")
            except Refused:
                return True
            except OSError:
                caller.close()
                return False

        wait_until(is_admitted, 30, "the node has taken the binding up")

    def operator(self, *arguments):
        command = [BINARY, *arguments, "--demo", str(self.directory / "demo.json")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self, text):
        file = self.directory / "access.toml"
        file.write_text(text)
        return self.operator("iam", "apply", "-f", str(file))

    def caller(self, account, who):
        """Somebody with a certificate, whom the region may know or not."""
        self._issued += 1
        out = self.directory / "identities" / f"caller-{self._issued}"
        issue = [BINARY, "pki", "client", "--dir", str(self.directory / "pki"), "--out", str(out), "--identity", path_of(account, who)]
        subprocess.run(issue, check=True, capture_output=True, timeout=60)
        tls = ssl.create_default_context(cafile=self.deployment.contract["ca"])
        tls.load_cert_chain(f"{out}.pem", f"{out}.key")
        address = urllib.parse.urlsplit(self.deployment.regions[REGION][0].api)
        return Caller(address.hostname, address.port, tls)

    def stop(self):
        self.deployment.stop()
