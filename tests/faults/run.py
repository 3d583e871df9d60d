#!/usr/bin/env python3
"""The fault harness: numbered spans through everything that can go wrong between a program and its collector.

usage: run.py [--short] [--only REGEX] [--json FILE] [--slack-ms N] [--list | --self-test] [BIN]

For every case: the equation of the ledger, unique records received, duplicates, the memory's high-water mark, and whether
the shutdown kept its deadline. Exits with 1 if any of them is wrong. BIN is the folder of weft-fault-load and
weft-fault-receiver (default: build/release/bin). --short takes 20 000 records a case instead of a million.
What a case does and requires is told in docs/reliability.md.
"""
import argparse
import json
import os
import re
import sys
import tempfile
import time
import traceback

from cases import MUST_FAIL, all_cases
from harness import SHUTDOWN_SLACK_MS, Machine, Outcome, Skipped

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = [("case", 34), ("result", 8), ("records", 8), ("received", 9), ("twice", 8), ("dropped", 8), ("lost", 8),
           ("faults", 7), ("MiB", 6), ("stop ms", 8), ("s", 6)]


def print_row(cells):
    line = "".join(str(cell).ljust(width) if i < 2 else str(cell).rjust(width)
                   for i, (cell, (_, width)) in enumerate(zip(cells, COLUMNS)))
    print(line.rstrip(), flush=True)


def run_case(name, function, machine):
    begun = time.monotonic()
    try:
        outcome = function(machine)
        status = "failed" if outcome.problems else "passed"
        return outcome.row(status, time.monotonic() - begun)
    except Skipped as reason:
        return Outcome(name, 0).row("skipped", time.monotonic() - begun, str(reason))
    except Exception as error:  # A case that cannot be run to its end has failed.
        outcome = Outcome(name, 0)
        outcome.problems.append(f"{type(error).__name__}: {error}")
        return outcome.row("failed", time.monotonic() - begun, traceback.format_exc())


def show(row):
    if row["status"] == "skipped":
        print_row([row["case"], "skipped"])
        print(f"    {row['detail']}")
        return
    print_row([row["case"], row["status"], row["records"], row["received"], row["duplicates"],
               sum(row["dropped"].values()), row["lost"], row["faults"], row["peak_rss_mib"], row["shutdown_ms"],
               row["seconds"]])
    for problem in row["problems"]:
        print(f"    wrong: {problem}")
    if row["problems"]:
        print(f"    ledger: {json.dumps(row['ledger'])}")
        print(f"    notes: {json.dumps(row['notes'])} {row['detail']}")


def self_test(machine):
    """Whether the harness sees what is wrong where something is."""
    passed = True
    for name, function in MUST_FAIL:
        row = run_case(name, function, machine)
        print(f"{name}: {'; '.join(row['problems']) or 'NOT NOTICED'}")
        passed = passed and row["status"] == "failed" and not row["detail"]
    return 0 if passed else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", metavar="REGEX", default="")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--slack-ms", type=float, default=SHUTDOWN_SLACK_MS, metavar="N",
                        help="what a shutdown may take over its deadline (default %(default)s)")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--self-test", action="store_true", help="shows that wrong is found where it is")
    parser.add_argument("bin", nargs="?", default=os.path.join(HERE, "..", "..", "build", "release", "bin"))
    arguments = parser.parse_args()
    chosen = [(name, function) for name, function in all_cases() if re.search(arguments.only, name)]
    if arguments.list:
        print("\n".join(name for name, _ in chosen))
        return 0
    if not chosen:
        print(f"no case matches --only '{arguments.only}'; --list prints them", file=sys.stderr)
        return 2
    rows = []
    with tempfile.TemporaryDirectory(prefix="weft-faults-") as folder:
        machine = Machine(os.path.abspath(arguments.bin), folder, arguments.short or arguments.self_test,
                          arguments.slack_ms)
        if arguments.self_test:
            return self_test(machine)
        print_row([name for name, _ in COLUMNS])
        for name, function in chosen:
            rows.append(run_case(name, function, machine))
            show(rows[-1])
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(" " + json.dumps(row) for row in rows) + "\n]\n")
    counts = {status: sum(row["status"] == status for row in rows) for status in ("passed", "failed", "skipped")}
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
