#!/usr/bin/env python3
"""Kills nodes of a running demo without warning, one after the other, and starts each again.

A node is killed (SIGKILL) and started again at once, and all must be ready before the next one dies; so a region never lacks two.
Every second victim is its region's leader. All nodes run when this ends.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import demo

READY_SECONDS_MAX = 120


def seconds(text):
    """`500ms`, `10s` or `5m`, as `claviger bench` takes them."""
    match = re.fullmatch(r"([0-9]+)(ms|s|m)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write it as 500ms, 10s or 5m")
    return int(match[1]) * {"ms": 0.001, "s": 1, "m": 60}[match[2]]


class Killer:
    """Kills one node each time it is asked to."""

    def __init__(self, demo_json, regions=None, seed=None, say=print):
        self.demo_json = pathlib.Path(demo_json)
        self.regions = regions
        self.seed = random.randrange(2**32) if seed is None else seed
        self.kills = 0
        self._random = random.Random(self.seed)
        self._children = []
        self._say = say

    def kill_one(self):
        """Kills a node, starts it again and waits until it serves; says how long that took."""
        nodes = demo.nodes_of(self.demo_json, self.regions)
        demo.wait_until(lambda: all(map(demo.is_ready, nodes)), READY_SECONDS_MAX, "every node is ready")
        leaders = [node for node in nodes if demo.metric(node, "claviger_raft_is_leader") == 1]
        node = self._random.choice(leaders if self.kills % 2 == 0 and leaders else nodes)
        pid = demo.pid_of(node)
        # The same program, whatever was built meanwhile.
        program = os.readlink(f"/proc/{pid}/exe")
        started = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        try:
            self.kills += 1
            demo.wait_until(lambda: not demo.is_alive(pid), 30, f"{name(node)} is gone")
        finally:
            pid = self._start(program, node)
        demo.wait_until(lambda: demo.is_ready(node), READY_SECONDS_MAX, f"{name(node)} is ready again")
        self._note(node, pid)
        took = time.monotonic() - started
        role = "the leader" if node in leaders else "a follower"
        self._say(f"killed {name(node)}, {role}: ready again after {took:.1f} s", flush=True)

    def _start(self, program, node):
        # Whom this process started before and killed since is a zombie until it is looked at.
        self._children = [child for child in self._children if child.poll() is None]
        with open(node["log"], "ab") as log:
            child = subprocess.Popen(
                [program.removesuffix(" (deleted)"), "serve", "--config", node["config"]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        self._children.append(child)
        return child.pid

    def _note(self, node, pid):
        """Keeps demo.json true for whoever reads it next."""
        contract = json.loads(self.demo_json.read_text())
        for region in contract["regions"]:
            for entry in region["nodes"]:
                if entry["config"] == node["config"]:
                    entry["pid"] = pid
        new = self.demo_json.with_suffix(".new")
        new.write_text(json.dumps(contract, indent=2))
        new.replace(self.demo_json)

    def run(self, every, duration, until=lambda: False):
        """Kills a node each `every` seconds, for `duration` seconds or until `until` says so."""
        began = time.monotonic()
        following = began + every
        while following < began + duration:
            while time.monotonic() < following:
                if until():
                    return
                time.sleep(0.05)
            self.kill_one()
            following = max(following + every, time.monotonic())


def name(node):
    return f"node {node['id']} of {node['region']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", required=True, metavar="FILE", help="the running demo's demo.json")
    parser.add_argument("--every", type=seconds, default="10s", help="from one kill to the next (default 10s)")
    parser.add_argument("--duration", type=seconds, default="5m", help="how long (default 5m)")
    parser.add_argument("--regions", type=lambda text: text.split(","), help="only nodes of these")
    parser.add_argument("--seed", type=int, help="chooses the same victims again")
    arguments = parser.parse_args()
    killer = Killer(arguments.demo, arguments.regions, arguments.seed)
    print(f"seed {killer.seed}", flush=True)
    killer.run(arguments.every, arguments.duration)
    print(f"{killer.kills} nodes killed and started again; all run", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, TimeoutError) as problem:
        sys.exit(f"kill_nodes: {problem}")
