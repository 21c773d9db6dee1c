"""A `claviger demo` that stays up while a program runs, and the nodes in its `demo.json`. Standard library only."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.request

START_SECONDS_MAX = 180
STOP_SECONDS_MAX = 120


def wait_until(condition, seconds, what):
    """Waits for a condition, never for a time; `what` names it when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Demo:
    """`with Demo(claviger, ["eu-west-1"]) as demo:` starts it, and stops it whatever happens."""

    def __init__(self, claviger, regions, nodes=3, directory=None):
        self._temporary = tempfile.TemporaryDirectory(prefix="claviger-") if directory is None else None
        self.directory = pathlib.Path(directory or self._temporary.name) / "demo"
        self.json = self.directory / "demo.json"
        self._command = [claviger, "demo", "--dir", str(self.directory), "--regions", ",".join(regions), "--nodes", str(nodes)]
        self._command += ["--keep-running", "--no-scenario", "--json"]

    def __enter__(self):
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self._is_up, START_SECONDS_MAX, "the demo is up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_up(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"`{' '.join(self._command)}` ended: run it by hand to see why")
        return self.json.exists()

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_SECONDS_MAX)
        if self._temporary is not None:
            self._temporary.cleanup()


def nodes_of(demo_json, regions=None):
    """The nodes of these regions, or of all, each with the name of its region."""
    contract = json.loads(pathlib.Path(demo_json).read_text())
    chosen = [region for region in contract["regions"] if regions is None or region["name"] in regions]
    if regions is not None and len(chosen) != len(set(regions)):
        raise SystemExit(f"{demo_json} does not have all of {', '.join(regions)}")
    return [dict(node, region=region["name"]) for region in chosen for node in region["nodes"]]


def pid_of(node):
    """The process that serves a node now, whoever started it; None when none does."""
    wanted = [b"serve", b"--config", os.fsencode(node["config"])]
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                arguments = pathlib.Path(entry.path, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if arguments[1:4] == wanted:
                return int(entry.name)
    return None


def is_alive(pid):
    """Whether a process holds anything yet: its first thread can be a zombie while others still end."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except FileNotFoundError:
        return False


def is_ready(node):
    """Whether a node says that it serves."""
    try:
        with urllib.request.urlopen(f"{node['metrics']}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def metric(node, name):
    """The value of a metric without labels; None when the node does not say."""
    try:
        with urllib.request.urlopen(f"{node['metrics']}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.split()[1])
    except OSError:
        pass
    return None
