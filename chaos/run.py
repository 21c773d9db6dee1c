#!/usr/bin/env python3
"""A demo under full load while its nodes are killed: every error must be mended by the client's retries.

Starts a demo, `claviger bench` against its first region, and the killer; prints what was measured; fails when a request
failed for good, when nothing was served, or when nobody was killed.
"""

import argparse
import json
import subprocess
import sys
import tempfile

import demo
from kill_nodes import Killer, seconds

# Writes are few, since an account has room for a hundred thousand keys.
MIX = "encrypt=45,decrypt=45,generate-data-key=8,create-key=2"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", default="target/debug/claviger", metavar="FILE", help="the program")
    parser.add_argument("--regions", type=lambda text: text.split(","), default=["eu-west-1"], help="regions of the demo; nodes of all are killed, the first is under load")
    parser.add_argument("--nodes", type=int, default=3, choices=[3, 5], help="nodes of each region")
    parser.add_argument("--every", type=seconds, default="10s", help="from one kill to the next (default 10s)")
    parser.add_argument("--duration", type=seconds, default="5m", help="how long (default 5m)")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--retries", type=int, default=4, help="as botocore's legacy mode makes them (default 4)")
    parser.add_argument("--seed", type=int, help="chooses the same victims again")
    arguments = parser.parse_args()
    with demo.Demo(arguments.claviger, arguments.regions, arguments.nodes) as deployment:
        killer = Killer(deployment.json, arguments.regions, arguments.seed)
        print(f"seed {killer.seed}", flush=True)
        result = load_while_killing(deployment, killer, arguments)
    return judge(result, killer.kills, round(arguments.duration / arguments.every))


def load_while_killing(deployment, killer, arguments):
    command = [arguments.claviger, "bench", "--demo", str(deployment.json), "--region", arguments.regions[0], "--mix", MIX, "--json"]
    command += ["--connections", str(arguments.connections), "--retries", str(arguments.retries), "--keys", "8"]
    command += ["--duration", f"{round(arguments.duration * 1000)}ms"]
    with tempfile.TemporaryFile() as output:
        bench = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        try:
            killer.run(arguments.every, arguments.duration, until=lambda: bench.poll() is not None)
            bench.wait()
        finally:
            bench.kill()
            bench.wait()
        output.seek(0)
        report = output.read()
        # Requests that failed for good fail the generator too, and are in its report.
        if not report:
            raise RuntimeError("the load generator failed")
        return json.loads(report)["results"][0]


def judge(result, kills, planned):
    codes = lambda counts: ", ".join(f"{code} {count}" for code, count in counts.items()) or "none"
    print(f"{kills} kills in {result['seconds']:.0f} s; {result['requests']} requests, {result['throughput_per_s']:.0f} a second")
    print(f"p50 {result['p50_ms']:.1f} ms, p99 {result['p99_ms']:.1f} ms, longest {result['max_ms']:.0f} ms")
    print(f"attempts that failed: {codes(result['failed_attempts'])}; requests mended by retries: {result['mended']}")
    print(f"requests that failed for good: {codes(result['errors'])}")
    # A node that is slow to start delays the next kill; most of those planned must have happened.
    if result["errors"] or not result["throughput_per_s"] or kills < max(1, planned // 2):
        print("FAILED", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, TimeoutError) as problem:
        sys.exit(f"chaos: {problem}")
