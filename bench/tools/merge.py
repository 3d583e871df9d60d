#!/usr/bin/env python3
"""Joins the figures of several bench runs, prints them side by side, and the ratios of other libraries to weft.

usage: merge.py [--json FILE] PART.json...

Each part is an array as the bench programs write it. Rows of the same library and case are joined over their samples:
median, smallest, largest. A ratio stands for "how many times ours"; its spread is what the samples allow at worst and
at best (their smallest by our largest, their largest by our smallest).
"""
import argparse
import json
import statistics
import sys


TIMES = ("ns", "us", "ms")
COMPARED = (*TIMES, "bytes")  # Units of which less is better.


def join(parts):
    """Rows of all parts, one for each (library, case), in the order in which they were met first."""
    rows = {}
    for part in parts:
        for row in part:
            key = (row["library"], row["case"])
            known = rows.setdefault(key, {"unit": row["unit"], "samples": [], "allocations": []})
            if known["unit"] != row["unit"]:
                raise ValueError(f"{key}: unit {row['unit']} here, {known['unit']} before")
            known["samples"] += row["samples"]
            known["allocations"].append(row["allocations_per_op"])
    return [
        {
            "library": library,
            "case": case,
            "unit": row["unit"],
            "median": statistics.median(row["samples"]),
            "min": min(row["samples"]),
            "max": max(row["samples"]),
            "repetitions": len(row["samples"]),
            "allocations_per_op": statistics.median(row["allocations"]),
            "samples": row["samples"],
        }
        for (library, case), row in rows.items()
    ]


def ratios(rows):
    """(case, library, ratio, lowest, highest) for each row that has one of weft's beside it, where less is better."""
    ours = {row["case"]: row for row in rows if row["library"] == "weft"}
    for row in rows:
        own = ours.get(row["case"])
        if own is None or row is own or row["unit"] not in COMPARED or own["min"] <= 0:
            continue
        yield (row["case"], row["library"], row["median"] / own["median"],
               row["min"] / own["max"], row["max"] / own["min"])


def number(value):
    return f"{value:.4f}" if 0 < value < 1 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def table(header, lines):
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    for line in [header, *lines]:
        cells = [cell.ljust(width) if i < 2 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("parts", nargs="+", metavar="PART.json")
    arguments = parser.parse_args()
    parts = []
    for name in arguments.parts:
        with open(name, encoding="utf-8") as file:
            parts.append(json.load(file))
    rows = join(parts)
    order = {case: i for i, case in enumerate(dict.fromkeys(row["case"] for row in rows))}
    rows.sort(key=lambda row: (order[row["case"]], row["library"] != "weft", row["library"]))

    table(["case", "library", "unit", "median", "min", "max", "allocs/op"],
          [[row["case"], row["library"], row["unit"], number(row["median"]), number(row["min"]), number(row["max"]),
            number(row["allocations_per_op"]) if row["unit"] in TIMES else "-"] for row in rows])
    compared = list(ratios(rows))
    if compared:
        print("\nTimes ours (and what the spread of both allows):")
        table(["case", "library", "times", "lowest", "highest"],
              [[case, library, number(ratio), number(low), number(high)]
               for case, library, ratio, low, high in compared])
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(" " + json.dumps(row) for row in rows) + "\n]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
