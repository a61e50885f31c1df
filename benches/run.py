#!/usr/bin/env python3
"""Measures khagen builds against the bare loop and against openssl in a shell script.

    benches/run.py [HOSTS ...]        default: 11 1000 10000

Machines are noisy: every figure is the median of several runs, and what counts are the ratios of CPU time. Needs
python3 and openssl; builds what else it needs.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KHAGEN = ROOT / "target/release/khagen"
FLOOR = ROOT / "target/release/examples/floor"


def run(*argv, cores=None, **kwargs):
    """CPU seconds, wall seconds, peak MiB of a finished command."""
    began = time.monotonic()
    affinity = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    child = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL, preexec_fn=affinity, **kwargs)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{argv}: exit {child.returncode}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def inventory(folder, hosts):
    """The cluster of the repository with so many hosts: 3 etcd (5 from 100), 2 balancers, 3 control planes, workers."""
    folder.mkdir()
    text = (ROOT / "inventory/cluster.yaml").read_text()
    # Every host needs an address in the balancers' subnet, and the pod subnet must be large enough.
    text = text.replace("192.168.13.70/24", "10.20.0.70/16")
    (folder / "cluster.yaml").write_text(text)
    members = 3 if hosts < 100 else 5
    rows = [("etcd", "etcd", i) for i in range(members)]
    rows += [("lb", "load-balancer", i) for i in range(2)]
    rows += [("cp", "control-plane", i) for i in range(3)]
    rows += [("worker", "worker", i) for i in range(hosts - members - 5)]
    lines = ["hosts:"]
    for n, (name, role, i) in enumerate(rows):
        address = f"10.20.{1 + n // 250}.{1 + n % 250}"
        lines.append(f"  - {{name: {name}{i}, address: {address}, roles: [{role}], interface: ens33}}")
    (folder / "hosts.yaml").write_text("\n".join(lines) + "\n")


def median(runs):
    return [statistics.median(column) for column in zip(*runs)]


def row(name, figures, floor=None):
    cpu, wall, peak = figures
    ratio = f"{cpu / floor:8.2f}" if floor else " " * 8
    print(f"  {name:<34} {cpu * 1000:10.1f} {wall * 1000:10.1f} {peak:9.1f} {ratio}", flush=True)


def measure(hosts, scratch):
    base = scratch / str(hosts)
    base.mkdir()
    inv = base / "inventory"
    inventory(inv, hosts)
    repeat = 9 if hosts < 100 else 5 if hosts < 5000 else 3
    print(f"{hosts} hosts" + " " * 30 + "cpu ms    wall ms  peak MiB  ÷ floor")

    def cold(cores=None):
        shutil.rmtree(inv / "secrets", ignore_errors=True)
        shutil.rmtree(base / "out", ignore_errors=True)
        return run(KHAGEN, "build", inv, "-o", base / "out", "-q", "--no-sync", cores=cores)

    cold()
    runs, floors = [], []
    certificates = len(list((inv / "secrets").rglob("cert.pem")))
    for _ in range(repeat):
        # In pairs, so that the machine's moods hit both.
        runs.append(cold())
        target = base / "floor"
        shutil.rmtree(target, ignore_errors=True)
        text = subprocess.run([FLOOR, base / "out", target, str(certificates)], check=True, capture_output=True, text=True)
        floors.append(float(text.stdout))
    floor = statistics.median(floors)
    print(f"  {'bare loop, one core':<34} {floor * 1000:10.1f}")
    row("cold", median(runs), floor)
    if hosts >= 1000:
        one = median([cold(cores={0}) for _ in range(repeat)])
        two = median([cold(cores={0, 1}) for _ in range(repeat)])
        row("cold, one core", one, floor)
        row("cold, two cores", two, floor)
        print(f"  one core ÷ two cores, wall: {one[1] / two[1]:.2f}")
    row("check only", median([run(KHAGEN, "check", inv, stderr=subprocess.DEVNULL) for _ in range(repeat)]))
    row("nothing changed", median([run(KHAGEN, "build", inv, "-o", base / "out", "-q", "--no-sync") for _ in range(repeat)]))
    changed = []
    text = (inv / "hosts.yaml").read_text()
    for i in range(repeat):
        head, tail = text.rsplit("}", 1)
        (inv / "hosts.yaml").write_text(head + f", kubelet: {{maxPods: {100 + i}}}}}" + tail)
        changed.append(run(KHAGEN, "build", inv, "-o", base / "out", "-q", "--no-sync"))
    row("one host changed", median(changed))
    if hosts < 100:
        shell = []
        for i in range(3):
            shell.append(run(ROOT / "benches/openssl.sh", base / f"openssl{i}", certificates))
        row("the PKI alone, openssl in a shell", median(shell), floor)
        print(f"  openssl in a shell ÷ khagen cold, CPU: {median(shell)[0] / median(runs)[0]:.0f}")


def main():
    sizes = [int(a) for a in sys.argv[1:]] or [11, 1000, 10000]
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "khagen", "--example", "floor"], cwd=ROOT, check=True)
    # In memory where there is room: ext4 takes seconds to create files where thousands were just deleted, which is what
    # a benchmark does and a user does not.
    memory = pathlib.Path("/dev/shm")
    where = memory if memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30 else None
    with tempfile.TemporaryDirectory(prefix="khagen-bench-", dir=where) as scratch:
        for hosts in sizes:
            measure(hosts, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
