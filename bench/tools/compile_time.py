#!/usr/bin/env python3
"""Compile time of the public headers at -O0: what including them costs each of a user's files.

usage: compile_time.py [--compiler CXX] [--repetitions N] [--json FILE]

Prints CPU seconds (user and system) of compiling a file that holds one include: median, smallest, largest. Beside ours:
Boost.Asio's awaitable and co_spawn alone (the floor of any coroutine header), and opentelemetry-cpp's API when installed.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = [
    ("floor", "asio awaitable and co_spawn", "#include <boost/asio/awaitable.hpp>\n#include <boost/asio/co_spawn.hpp>\n"),
    ("weft", "<weft/weft.hpp>", "#include <weft/weft.hpp>\n"),
    ("weft", "<weft/signals/span.hpp>", "#include <weft/signals/span.hpp>\n"),
    ("weft", "<weft/http/server.hpp>", "#include <weft/http/server.hpp>\n"),
]
PEER = ("opentelemetry_cpp", "API headers",
        "#include <opentelemetry/trace/provider.h>\n#include <opentelemetry/trace/scope.h>\n"
        "#include <opentelemetry/trace/tracer.h>\n")


def seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.repetitions < 1:
        parser.error("--repetitions takes 1 or more")
    cases = list(CASES)
    if pathlib.Path("/usr/include/opentelemetry/version.h").exists():
        cases.append(PEER)
    includes = [f"-I{folder}" for folder in sorted(ROOT.glob("*/include")) + sorted(ROOT.glob("*/*/include"))]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        samples = [[] for _ in cases]
        for _ in range(options.repetitions):  # In turns, so that a busy moment hits all of them.
            for index, (_, _, text) in enumerate(cases):
                source = pathlib.Path(folder) / "one.cpp"
                source.write_text(text, encoding="utf-8")
                samples[index].append(seconds(
                    [options.compiler, "-std=c++20", "-O0", "-DHAVE_ABSEIL", *includes, "-c", str(source), "-o", os.devnull]))
    for (library, name, _), times in zip(cases, samples):
        rows.append({"library": library, "case": f"compile_time {name}", "unit": "s", "median": statistics.median(times),
                     "min": min(times), "max": max(times), "repetitions": len(times), "allocations_per_op": 0})
        print(f"{library:18} {name:32} {statistics.median(times):5.2f} s   {min(times):5.2f} {max(times):5.2f}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
