#!/usr/bin/env python3
"""Has Prometheus's own tools read what we write.

usage: prometheus_oracles.py PROGRAM

PROGRAM writes expositions (see prometheus_expositions.cpp). promtool must find nothing wrong with the conventional ones
and be able to read the random ones; the strict OpenMetrics parser of the Python client must read all, and find in them
the samples that its parser of the text format finds in the same collection's other form. Exit 77: a tool is not there.
"""
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

LINT_PROBLEM = 3  # promtool's exit code for a complaint that is no error.


def skip(what):
    print(f"SKIPPED: {what} is not installed; nobody but ourselves has read our expositions")
    sys.exit(77)


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def samples_of(families):
    """{(name, labels): value}, without what only one of the formats has."""
    found = {}
    for family in families:
        for sample in family.samples:
            labels = dict(sample.labels)
            if "le" in labels:
                labels["le"] = str(float(labels["le"]))
            if not sample.name.endswith("_created"):
                found[(sample.name, tuple(sorted(labels.items())))] = float(sample.value)
    return found


def check_promtool(path, complaints):
    lint = path.name.startswith("lint_")
    run = subprocess.run(["promtool", "check", "metrics"], input=path.read_bytes(), capture_output=True, check=False)
    if run.returncode != 0 and (lint or run.returncode != LINT_PROBLEM):
        complaints.append(f"{path.name}: promtool exits with {run.returncode}: {run.stderr.decode()}")


def check_parsers(path, parse_text, parse_open_metrics, complaints):
    try:
        open_metrics = samples_of(parse_open_metrics(path.with_suffix(".om").read_bytes().decode()))
        text = samples_of(parse_text(path.read_bytes().decode()))
    except ValueError as error:
        complaints.append(f"{path.stem}: {error}")
        return
    for key, value in open_metrics.items():
        plain = key if key in text else (re.sub("_total$", "", key[0]), key[1])
        if plain not in text or not same(text[plain], value):
            complaints.append(f"{path.stem}: {key} is {value} in OpenMetrics and {text.get(plain)} in text")
    if path.name.startswith("lint_") and len(open_metrics) < 60:
        complaints.append(f"{path.stem}: only {len(open_metrics)} samples")


def main():
    if shutil.which("promtool") is None:
        skip("promtool (package prometheus)")
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
        from prometheus_client.parser import text_string_to_metric_families as parse_text
    except ImportError:
        # The package is for the system's own Python, which need not be the one that CMake has found.
        if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
            os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
        skip("prometheus_client (package python3-prometheus-client)")
    seed = os.environ.get("WEFT_TEST_SEED") or str(random.SystemRandom().randrange(2**32))
    print(f"prometheus_oracles: WEFT_TEST_SEED={seed}")
    complaints = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], folder, seed], check=True)
        paths = sorted(pathlib.Path(folder).glob("*.txt"))
        for path in paths:
            check_promtool(path, complaints)
            check_parsers(path, parse_text, parse_open_metrics, complaints)
    if len(paths) != 22:
        complaints.append(f"{len(paths)} expositions, not 22")
    print("\n".join(complaints) or f"{len(paths)} collections read in both formats")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
