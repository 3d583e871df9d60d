#!/usr/bin/env python3
"""Checks of the repository itself: what a compiler does not see and a reviewer should not have to.

usage: check.py [--root DIRECTORY] [--only CHECK]... [--compiler COMMAND] [--list]

Prints one line a complaint, "file:line: what is wrong", and exits with 1 if there is any. The self test in
self_test.py plants a violation of each kind and requires that it is found.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

SOURCE_SUFFIXES = (".hpp", ".cpp")
LINES_MAX = 700

# Which headers a module may include, by the first folder below weft/. viewer, tools, examples, bench and tests are free.
LAYERS = {
    "runtime": {"runtime"},
    "signals": {"runtime", "signals"},
    "propagation": {"runtime", "signals", "propagation"},
    "exporters": {"runtime", "signals", "exporters"},
    "telemetry": {"runtime", "signals", "propagation", "exporters", "telemetry"},
    "instrumentation/event_loop": {"runtime", "signals", "event_loop"},
    "instrumentation/process": {"runtime", "signals", "process"},
    "instrumentation/http": {"runtime", "signals", "propagation", "http"},
    "testing": {"runtime", "signals", "exporters", "telemetry", "testing"},
    "instrumentation/custom_metrics": {"runtime", "signals", "custom_metrics"},
}
UMBRELLA = "weft/weft.hpp"  # Belongs to the top layer, wherever it is kept.
BEHIND_NO_HEADER = re.compile(r"(^|/)(boost/beast|boost/asio/ssl|google/protobuf|openssl)(/|\.hpp$)|\.pb\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s*(<([^>]+)>|"([^"]+)")')


class Tree:
    """The files of a checkout, read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self._texts = {}
        self.files = sorted(self._listed())

    def _listed(self):
        git = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=self.root,
                             capture_output=True, check=False)
        top = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=self.root, capture_output=True, check=False)
        if git.returncode == 0 and pathlib.Path(os.fsdecode(top.stdout).strip()) == self.root:
            names = [os.fsdecode(name) for name in git.stdout.split(b"\0") if name]
            return [name for name in names if (self.root / name).is_file()]
        names = []  # Not a checkout, such as an unpacked archive.
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in ("build", ".git", ".cache", "__pycache__")]
            names += [str((pathlib.Path(folder) / name).relative_to(self.root)) for name in files]
        return names

    def text(self, name):
        if name not in self._texts:
            self._texts[name] = (self.root / name).read_bytes().decode("utf-8", errors="replace")
        return self._texts[name]

    def lines(self, name):
        return self.text(name).splitlines()

    def sources(self, *folders):
        return [name for name in self.files if name.endswith(SOURCE_SUFFIXES)
                and (not folders or name.startswith(tuple(folder + "/" for folder in folders)))]

    def documents(self):
        return [name for name in self.files if name.endswith(".md")]

    def exists(self, name):
        return (self.root / name).exists()

    def includes(self, name):
        """(line number, path, is quoted) of every include directive."""
        for number, line in enumerate(self.lines(name), 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(2) or found.group(3), found.group(3) is not None


def without_comments(text):
    """The text with comments blanked out, lines kept. String literals are kept too."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.S)
    return pattern.sub(lambda m: m.group() if m.group()[0] == '"' else re.sub(r"[^\n]", " ", m.group()), text)


def check_layers(tree):
    """Includes between modules run one way."""
    for module, allowed in LAYERS.items():
        for name in tree.sources(module):
            for number, path, quoted in tree.includes(name):
                parts = path.split("/")
                if quoted and ".." in parts:
                    yield f'{name}:{number}: "{path}" leaves its module; include <weft/...>'
                if parts[0] != "weft" or len(parts) < 2:
                    continue
                layer = "telemetry" if path == UMBRELLA else parts[1]
                if layer not in allowed:
                    yield f"{name}:{number}: {module} may not include {layer} (<{path}>)"


def public_headers(tree):
    return [name for name in tree.sources(*LAYERS) if "/include/" in name]


def include_roots(tree):
    return sorted({name.split("/include/")[0] + "/include" for name in tree.files
                   if "/include/" in name and not name.startswith("tests/")})


def check_public_headers(tree):
    """No Beast, Protobuf or OpenSSL stands behind a public header."""
    roots = include_roots(tree)
    known = set(tree.files)
    waiting = [(name, name) for name in public_headers(tree)]
    seen = set()
    while waiting:
        name, entry = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for number, path, _ in tree.includes(name):
            if BEHIND_NO_HEADER.search(path):
                yield f"{name}:{number}: <{path}> stands behind public header {entry}"
            beside = os.path.normpath(os.path.join(os.path.dirname(name), path))
            for candidate in [beside] + [f"{root}/{path}" for root in roots]:
                if candidate in known:
                    waiting.append((candidate, entry))


def check_compiled_headers(tree, compiler):
    """The same, asked of the preprocessor, which sees what other libraries' headers include."""
    headers = [name.split("/include/")[1] for name in public_headers(tree)]
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "all.cpp"
        source.write_text("".join(f"#include <{header}>\n" for header in headers), encoding="utf-8")
        command = [*compiler.split(), "-std=c++20", "-M", *[f"-I{tree.root / root}" for root in include_roots(tree)],
                   str(source)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        yield "public headers do not preprocess: " + run.stderr.strip()
    for path in run.stdout.replace("\\\n", " ").split():
        if BEHIND_NO_HEADER.search(path):
            yield f"{path} is reached from the public headers"


def check_memory_orders(tree):
    """Each line that names a memory order says why, on it or in the three lines above, no blank one between."""
    for name in tree.sources():
        lines = tree.lines(name)
        code = without_comments(tree.text(name)).splitlines()
        for i, line in enumerate(code):
            if "memory_order_" not in line or "//" in lines[i]:
                continue
            start = i
            while start > 0 and code[start - 1].strip() and code[start - 1].rstrip()[-1] not in ";{}:":
                start -= 1  # The statement began on a line above.
            above = []
            while start > 0 and len(above) < 3 and lines[start - 1].strip():
                start -= 1
                above.append(lines[start])
            if not any("//" in text for text in above):
                yield f"{name}:{i + 1}: a memory order without a comment that says why"


def check_detached(tree):
    """The library joins its coroutines."""
    for name in tree.sources(*LAYERS, "viewer", "tools"):
        for number, line in enumerate(without_comments(tree.text(name)).splitlines(), 1):
            if re.search(r"\basio::detached\b|\bdetached_t\b|,\s*detached\s*[),]", line):
                yield f"{name}:{number}: asio::detached drops the exception and outlives shutdown"


def check_machine_paths(tree):
    """Nothing names a folder of somebody's machine."""
    pattern = re.compile(r"(^|[^A-Za-z0-9_.~}-])/(?:home|work|farm|Users|mnt)/|/roo[t]/")
    for name in tree.files:
        if name.endswith((".bin", ".png", ".gz")) or "/corpus/" in name:
            continue
        for number, line in enumerate(tree.lines(name), 1):
            if pattern.search(line):
                yield f"{name}:{number}: an absolute path of a machine"


def example_region(text, region):
    """The lines between the marks of a region, marks of others left out, indented as far left as they go."""
    inside, found = False, None
    lines = []
    for line in text.splitlines(keepends=True):
        mark = re.match(r"\s*// \[(/?)readme:([\w-]+)\]\s*$", line)
        if mark and mark.group(2) == region:
            inside = not mark.group(1)
            found = "open" if inside else "closed"
        elif inside and not mark:
            lines.append(line)
    return textwrap.dedent("".join(lines)) if found == "closed" else None


def check_code_blocks(tree):
    """Code in README and docs is the examples' code, byte for byte; all of README's C++ is such code."""
    for name in tree.documents():
        lines = tree.text(name).splitlines(keepends=True)
        source = None
        i = 0
        while i < len(lines):
            mark = re.match(r"<!-- from (\S+?)(?:#(\S+))? -->\s*$", lines[i])
            fence = re.match(r"```(\w*)", lines[i])
            if mark:
                source = (mark.group(1), mark.group(2), i + 1)
            elif fence:
                begin = i + 1
                i = begin
                while i < len(lines) and not lines[i].startswith("```"):
                    i += 1
                if source:
                    yield from compare_block(tree, name, source, "".join(lines[begin:i]))
                elif name == "README.md" and fence.group(1) == "cpp":
                    yield f"{name}:{begin}: C++ that is not taken from an example; precede it with <!-- from ... -->"
                source = None
            elif lines[i].strip() and source:
                yield f"{name}:{source[2]}: no code block follows"
                source = None
            i += 1


def compare_block(tree, name, source, block):
    path, region, number = source
    if not tree.exists(path):
        yield f"{name}:{number}: there is no {path}"
        return
    expected = example_region(tree.text(path), region) if region else tree.text(path)
    if expected is None:
        yield f"{name}:{number}: {path} has no region '{region}' with both marks"
    elif expected != block:
        yield f"{name}:{number}: differs from {path}" + (f"#{region}" if region else "")


def heading_anchors(text):
    anchors = set()
    for line in re.sub(r"```.*?```", "", text, flags=re.S).splitlines():
        heading = re.match(r"#+\s+(.*)", line)
        if heading:
            plain = re.sub(r"[^\w\- ]", "", heading.group(1).lower().replace("`", ""))
            anchors.add(plain.strip().replace(" ", "-"))
    return anchors


def check_links(tree):
    """Every relative link of a document leads somewhere."""
    for name in tree.documents():
        prose = re.sub(r"```.*?```", lambda m: "\n" * m.group().count("\n"), tree.text(name), flags=re.S)
        for number, line in enumerate(prose.splitlines(), 1):
            for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z][a-z0-9+.-]*:", target):
                    continue
                path, _, anchor = target.partition("#")
                full = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
                if not tree.exists(full):
                    yield f"{name}:{number}: link to {target}, which does not exist"
                elif anchor and full.endswith(".md") and anchor not in heading_anchors(tree.text(full)):
                    yield f"{name}:{number}: {full} has no heading for #{anchor}"


def check_spec_map(tree):
    """docs/spec-map.md mentions only files that exist."""
    name = "docs/spec-map.md"
    if name not in tree.files:
        return
    for number, line in enumerate(tree.lines(name), 1):
        for path in re.findall(r"(?<![\w/.:-])((?:[\w.-]+/)+[\w.-]+\.(?:hpp|cpp|py|md|proto|sh|txt|ya?ml))\b", line):
            if not tree.exists(path) and not tree.exists(os.path.join("docs", path)):
                yield f"{name}:{number}: there is no {path}"


def check_lengths(tree):
    """A source of 700 lines or more hides a concept."""
    for name in tree.files:
        if name.endswith((".hpp", ".cpp", ".h", ".py", ".sh", ".proto", ".cmake")) or name == "dev":
            count = len(tree.lines(name))
            if count >= LINES_MAX:
                yield f"{name}:{count}: {count} lines; {LINES_MAX} is too long for one idea"


CHECKS = {
    "layers": check_layers,
    "public_headers": check_public_headers,
    "memory_orders": check_memory_orders,
    "detached": check_detached,
    "machine_paths": check_machine_paths,
    "code_blocks": check_code_blocks,
    "links": check_links,
    "spec_map": check_spec_map,
    "lengths": check_lengths,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--only", action="append", choices=[*CHECKS, "compiled_headers"], metavar="CHECK")
    parser.add_argument("--compiler", help="what check compiled_headers preprocesses with; without it, it is left out")
    parser.add_argument("--list", action="store_true", help="print the checks and stop")
    arguments = parser.parse_args()
    if arguments.list:
        for name, check in CHECKS.items():
            print(f"{name:16} {check.__doc__}")
        return 0
    tree = Tree(arguments.root)
    if not tree.files:
        print(f"no files below {arguments.root}")
        return 1
    complaints = []
    for name, check in CHECKS.items():
        if not arguments.only or name in arguments.only:
            complaints += check(tree)
    if arguments.compiler and (not arguments.only or "compiled_headers" in arguments.only):
        complaints += check_compiled_headers(tree, arguments.compiler)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
