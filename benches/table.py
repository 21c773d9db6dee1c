#!/usr/bin/env python3
"""The table of docs/performance.md: a region of three nodes on this machine, measured beside an empty handler.

Prints Markdown; writes everything that was measured as JSON. Each kind of load has a region of its own, since an account
has room for a hundred thousand keys and CreateKey fills it.
"""

import argparse
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "chaos"))
import demo  # noqa: E402

CRYPTOGRAPHY = "encrypt,decrypt,generate-data-key"
# etcd 3.4, three members, puts of 512 bytes over HTTP on the disk of the machine that docs/performance.md names.
ETCD_PER_S = {1: 1000, 16: 3900, 64: 6900, 256: 9200}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claviger", default="target/release/claviger", metavar="FILE", help="the program, built with --release")
    parser.add_argument("--duration", default="8s", help="of each measurement of cryptography (default 8s)")
    parser.add_argument("--writes", default="3s", help="of each measurement of CreateKey (default 3s)")
    parser.add_argument("--json", default="target/bench.json", metavar="FILE", help="where everything measured goes")
    arguments = parser.parse_args()
    reports = {
        "cryptography": bench(arguments, CRYPTOGRAPHY, [1, 16, 256], arguments.duration),
        "writes": bench(arguments, "create-key", sorted(ETCD_PER_S), arguments.writes),
    }
    pathlib.Path(arguments.json).write_text(json.dumps(reports, indent=2))
    machine = reports["cryptography"]["machine"]
    print(f"{machine['cpus']} processors, load average before the first measurement: {machine['load_average']}\n")
    table_of_cryptography(reports["cryptography"]["results"])
    table_of_writes(reports["writes"]["results"])


def bench(arguments, ops, connections, duration):
    with demo.Demo(arguments.claviger, ["eu-west-1"]) as deployment:
        command = [arguments.claviger, "bench", "--demo", str(deployment.json), "--ops", ops, "--baseline", "--json"]
        command += ["--connections", ",".join(map(str, connections)), "--duration", duration]
        return json.loads(subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout)


def table_of_cryptography(results):
    print("| operation | connections | requests/s | p50 ms | p99 ms | CPU µs | empty: requests/s | CPU µs | CPU ratio | requests/s ratio | errors |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for result in results:
        empty = result["baseline"]
        print(
            f"| {result['op']} | {result['connections']} | {result['throughput_per_s']:,.0f} | {result['p50_ms']:.2f} | {result['p99_ms']:.2f} "
            f"| {micros(result)} | {empty['throughput_per_s']:,.0f} | {micros(empty)} | {ratio(result['ratio_to_baseline'])} "
            f"| {ratio(result['throughput_ratio'])} | {sum(result['errors'].values())} |"
        )
    print()


def table_of_writes(results):
    print("| CreateKey at connections | requests/s | against etcd | p50 ms | p99 ms | CPU µs | errors |")
    print("|---|---|---|---|---|---|---|")
    for result in results:
        etcd = result["throughput_per_s"] / ETCD_PER_S[result["connections"]]
        print(
            f"| {result['connections']} | {result['throughput_per_s']:,.0f} | {etcd:.2f} | {result['p50_ms']:.2f} | {result['p99_ms']:.2f} "
            f"| {micros(result)} | {sum(result['errors'].values())} |"
        )


def micros(figures):
    seconds = figures["server_cpu_s_per_k"]
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def ratio(value):
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
