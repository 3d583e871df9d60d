#!/usr/bin/env python3
"""Shows that every check of check.py can fail: each finds a planted violation, and a clean tree has none."""
import pathlib
import sys
import tempfile

import check
import context_matrix

CLEAN = {
    "README.md": "# Title\n\n[map](docs/map.md#the-one-heading), [out](https://example.com/x), [self](#title)\n\n"
                 "<!-- from examples/one.cpp#first -->\n```cpp\nint one();\n```\n\n```sh\n./dev test\n```\n",
    "docs/map.md": "# The one heading\n",
    "docs/spec-map.md": "| section | `runtime/src/ring.cpp` |\n",
    "examples/one.cpp": "// [readme:first]\nint one();\n// [/readme:first]\nint two();\n",
    "runtime/include/weft/runtime/ring.hpp": "#pragma once\n#include <atomic>\n",
    "runtime/src/ring.cpp":
        "#include <weft/runtime/ring.hpp>\n"
        "a.load(std::memory_order_acquire);  // E1\n"
        "\n"
        "// relaxed: only a hint.\n"
        "long_name.compare_exchange_strong(\n"
        "    expected, wanted,\n"
        "    std::memory_order_relaxed);\n"
        "auto span = Span::detached(tracer, \"x\");  // no asio::detached here\n",
    "signals/include/weft/signals/span.hpp": "#pragma once\n#include <weft/runtime/ring.hpp>\n",
    "exporters/include/weft/exporters/sink.hpp": "#pragma once\n#include <weft/signals/span.hpp>\n",
    "exporters/src/sink.cpp": "#include <boost/beast/http.hpp>\n#include <weft/exporters/sink.hpp>\n",
    "instrumentation/http/src/server.cpp": "#include <weft/propagation/x.hpp>\n#include <weft/http/y.hpp>\n",
    "viewer/src/store.cpp": "#include <weft/http/server.hpp>\n",
}

# check, file, its text; a file of CLEAN is replaced.
PLANTED = [
    ("layers", "runtime/src/ring.cpp", "#include <weft/signals/span.hpp>\n"),
    ("layers", "signals/src/x.cpp", "#include <weft/exporters/sink.hpp>\n"),
    ("layers", "propagation/src/x.cpp", '#  include "weft/exporters/sink.hpp"\n'),
    ("layers", "exporters/src/x.cpp", "#include <weft/propagation/x.hpp>\n"),
    ("layers", "exporters/src/x.cpp", "#include <weft/testing/loopback_server.hpp>\n"),
    ("layers", "telemetry/src/x.cpp", "#include <weft/testing/in_memory.hpp>\n"),
    ("layers", "testing/src/x.cpp", "#include <weft/http/server.hpp>\n"),
    ("layers", "testing/src/x.cpp", "#include <weft/viewer/receiver.hpp>\n"),
    ("layers", "instrumentation/http/src/x.cpp", "#include <weft/exporters/sink.hpp>\n"),
    ("layers", "instrumentation/http/src/x.cpp", "#include <weft/weft.hpp>\n"),
    ("layers", "telemetry/src/x.cpp", "#include <weft/viewer/receiver.hpp>\n"),
    ("layers", "signals/src/x.cpp", '#include "../../exporters/src/sink.hpp"\n'),
    ("public_headers", "signals/include/weft/signals/span.hpp", "#include <boost/beast/http.hpp>\n"),
    ("public_headers", "exporters/include/weft/exporters/sink.hpp", "#include <boost/beast.hpp>\n"),
    ("public_headers", "exporters/include/weft/exporters/sink.hpp", "#include <google/protobuf/message.h>\n"),
    ("public_headers", "exporters/include/weft/exporters/sink.hpp", "#include <weft/otlp/trace.pb.h>\n"),
    ("public_headers", "runtime/include/weft/runtime/ring.hpp", "#include <openssl/ssl.h>\n"),
    ("public_headers", "runtime/include/weft/runtime/ring.hpp", "#include <boost/asio/ssl.hpp>\n"),
    ("memory_orders", "runtime/src/ring.cpp", "a.load(std::memory_order_acquire);\n"),
    ("memory_orders", "runtime/src/ring.cpp", "// Far above.\n\na.load(std::memory_order_acquire);\n"),
    ("memory_orders", "tests/runtime/x_test.cpp", "f(\n    a,\n    std::memory_order_relaxed);\n"),
    ("detached", "exporters/src/sink.cpp", "co_spawn(e, f(), asio::detached);\n"),
    ("detached", "viewer/src/store.cpp", "using asio::detached;\n"),
    ("detached", "telemetry/src/x.cpp", "co_spawn(e, f(), detached);\n"),
    ("machine_paths", "docs/map.md", "cd /" + "home/somebody/weft\n"),
    ("machine_paths", "tests/x.py", "open('/" + "work/x')\n"),
    ("machine_paths", "dev", "cp x /" + "root/x\n"),
    ("code_blocks", "examples/one.cpp", "// [readme:first]\nint  one();\n// [/readme:first]\n"),
    ("code_blocks", "examples/one.cpp", "// [readme:other]\nint one();\n// [/readme:other]\n"),
    ("code_blocks", "examples/one.cpp", "// [readme:first]\nint one();\n"),
    ("code_blocks", "README.md", "# T\n<!-- from examples/none.cpp#first -->\n```cpp\nint one();\n```\n"),
    ("code_blocks", "README.md", "# T\n```cpp\nint one();\n```\n"),
    ("code_blocks", "README.md", "# T\n<!-- from examples/one.cpp#first -->\n\nNo block.\n"),
    ("code_blocks", "docs/map.md", "<!-- from examples/one.cpp -->\n```cpp\nint one();\n```\n"),
    ("links", "README.md", "[gone](docs/gone.md)\n"),
    ("links", "docs/map.md", "[one level off](docs/spec-map.md)\n"),
    ("links", "README.md", "[heading](docs/map.md#no-such-heading)\n"),
    ("links", "README.md", "![picture](docs/none.svg)\n"),
    ("spec_map", "docs/spec-map.md", "| x | `runtime/src/gone.cpp` |\n"),
    ("spec_map", "docs/spec-map.md", "| x | tests/runtime/gone_test.cpp, `runtime/src/ring.cpp` |\n"),
    ("lengths", "runtime/src/ring.cpp", "int x;\n" * check.LINES_MAX),
    ("lengths", "tests/x.py", "x = 1\n" * check.LINES_MAX),
]


def complaints(files):
    """{check: its complaints} for a tree of these files."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        tree = check.Tree(root)
        return {name: list(run(tree)) for name, run in check.CHECKS.items()}


def compiled_headers(compiler, files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(check.check_compiled_headers(check.Tree(root), compiler))


def matrix_complaints():
    """What context_matrix.py fails to find of what it has to find."""
    rows = [("One", "one", {}), ("Two", "two", {"Callback": "d", "Task": "a"})]
    listing = "".join(
        f"ContextMatrix{threads}/{way}.\n" + "".join(f"  {test}\n" for test in tests)
        for threads, way, tests in [("", "Task", ["One", "Two"]), ("Threads", "Task", ["One"]),
                                    ("", "Plain", ["One", "Two"]), ("Threads", "Plain", ["One", "Two"]),
                                    ("", "Callback", ["One"]), ("Threads", "Callback", ["One"])])
    tests = context_matrix.tests_of(listing)
    made, wrong = context_matrix.table(tests, rows)
    wrong += [] if "| two | `Two` | ✓ a | ✓✓ | n/a d |" in made else [f"not the table that was expected: {made}"]
    planted = {
        "a missing test": (tests - {"ContextMatrix/Plain.One"}, rows),
        "a test missing on two threads": (tests - {"ContextMatrixThreads/Callback.One"}, rows),
        "a test without a row": (tests | {"ContextMatrix/Task.Three"}, rows),
        "a test on two threads only": (tests - {"ContextMatrix/Task.Two"} | {"ContextMatrixThreads/Task.Two"}, rows),
        "a reason that is not needed": (tests, [("One", "one", {"Task": "a"}), rows[1]]),
    }
    wrong += [f"context_matrix did not find {what}" for what, args in planted.items()
              if not context_matrix.table(*args)[1]]
    page = f"text\n{context_matrix.BEGIN}old\n{context_matrix.END}more\n"
    mended = context_matrix.with_table(page, made)
    if not mended or made not in mended or context_matrix.with_table(mended, made) != mended:
        wrong.append("context_matrix does not mend a page, or not once and for all")
    if context_matrix.with_table("no marks\n", made) is not None:
        wrong.append("context_matrix takes a page without marks")
    return wrong


def main():
    wrong = matrix_complaints()
    wrong += [f"clean tree, {name}: {text}" for name, found in complaints(CLEAN).items() for text in found]
    for name, file, text in PLANTED:
        found = complaints({**CLEAN, file: text})[name]
        if not any(complaint.startswith(file + ":") or name == "code_blocks" for complaint in found):
            wrong.append(f"{name} did not find what was planted in {file}: {text[:60]!r}; it says {found}")
    without = set(check.CHECKS) - {name for name, _, _ in PLANTED}
    wrong += [f"nothing is planted for check {name}" for name in sorted(without)]

    if len(sys.argv) > 1:  # A compiler: what only it sees, a header of another library that includes Beast.
        hidden = {"runtime/include/weft/runtime/x.hpp": "#include <outside.hpp>\n",
                  "viewer/include/outside.hpp": "#include <boost/beast/core/error.hpp>\n"}
        clean = {"runtime/include/weft/runtime/x.hpp": "#include <vector>\n"}
        if not compiled_headers(sys.argv[1], hidden):
            wrong.append("compiled_headers did not find Beast behind another library's header")
        wrong += compiled_headers(sys.argv[1], clean)

    for line in wrong:
        print(line)
    print(f"{len(PLANTED)} planted, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
