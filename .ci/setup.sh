# shellcheck shell=bash
# Which packages this project needs, why, and how they get onto a Debian or Ubuntu. Sourced by ./dev, which has `die`.
#
# What is missing is found with dpkg-query alone, so that a machine that has everything loses no time. Only then is
# apt asked, its lists fetched once, and the packages are installed by name.

release=$(
    # shellcheck disable=SC1091
    . /etc/os-release
    echo "${ID:-unknown}-${VERSION_ID:-unknown}"
)
codename=$(
    # shellcheck disable=SC1091
    . /etc/os-release
    echo "${VERSION_CODENAME:-}"
)
unavailable=build/setup/unavailable # Optional packages that this release's archive does not have, one a line.

# Lines "package|why" of a group: base or test; peers and faults have optional ones only.
packages() {
    case $1 in
    base)
        cat <<'LIST'
g++|the compiler, GCC 12 or newer
cmake|configures the build, 3.25 or newer
ninja-build|runs the build
ccache|makes the second build quick
pkgconf|finds zstd, libdeflate and simdjson
python3|repository checks, bench tables, the demo's driver
git|the list of tracked files
ca-certificates|https mirrors and remotes
zlib1g-dev|gzip bodies coming in
libdeflate-dev|gzip bodies going out
libzstd-dev|zstd bodies, both ways
libssl-dev|TLS, and digests of secrets
libfmt-dev|text of diagnostics
libprotozero-dev|protobuf encoding on the hot path
libprotobuf-dev|the receiver's OTLP messages
protobuf-compiler|their code
libsimdjson-dev|OTLP/JSON coming in
libgtest-dev|tests
libgmock-dev|matchers of the tests
libbenchmark-dev|the loop below the benchmarks
LIST
        if [ "$release" = debian-12 ]; then
            echo "libboost1.81-dev|Asio and Beast; Debian 12's default Boost is too old"
            echo "libboost-url1.81-dev|Boost.URL, likewise"
        else
            echo "libboost-dev|Asio and Beast, 1.81 or newer"
            echo "libboost-url-dev|Boost.URL"
        fi
        ;;
    test)
        echo "clang-$clang|the second compiler, and the fuzzers'"
        echo "libclang-rt-$clang-dev|libFuzzer and the sanitizers of Clang"
        ;;
    esac
}

# Wanted where the archive has them. Without them something smaller is left out, aloud.
optional_packages() {
    case $1 in
    test)
        echo "libopentelemetry-proto-dev|official OTLP classes, against which our bytes are checked"
        echo "prometheus|promtool, the judge of our expositions"
        echo "python3-prometheus-client|a strict OpenMetrics parser that we did not write"
        echo "clang-format-14|the formatting check"
        ;;
    peers)
        echo "opentelemetry-cpp-dev|what bench --compare measures beside us"
        echo "libabsl-dev|its headers include Abseil's"
        echo "prometheus-cpp-dev|the same, for metrics"
        ;;
    faults)
        echo "faketime|steps the clock of a program in the fault harness"
        ;;
    esac
}

# The Clang to use: 16 if installed, else the newest one installed that is not older; empty if there is none.
installed_clang() {
    local installed
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'clang-[0-9]*' 2>/dev/null |
        sed -n 's/^clang-\([0-9]*\) installed$/\1/p' | sort -n || true) # No match at all is an error to dpkg-query.
    newest_clang "$installed"
}

newest_clang() {
    if grep -qx 16 <<<"$1"; then
        echo 16
    else
        awk '$1 >= 16 {newest = $1} END {print newest}' <<<"$1"
    fi
}

clang=$(installed_clang)
clang=${clang:-16} # Until the archive has been asked.

# Of the lines on stdin, those whose package is not installed.
missing_of() {
    local lines names installed
    lines=$(cat)
    [ -n "$lines" ] || return 0
    mapfile -t names < <(cut -d'|' -f1 <<<"$lines")
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${names[@]}" 2>/dev/null |
        sed -n 's/ installed$//p' || true)
    awk -F'|' 'NR == FNR {have[$1] = 1; next} !($1 in have)' <(echo "$installed") <(echo "$lines")
}

missing_packages() { for group in "$@"; do packages "$group"; done | missing_of; }

missing_optional() {
    for group in "$@"; do optional_packages "$group"; done | missing_of |
        { if [ -f "$unavailable" ]; then grep -v -F -f <(sed 's/$/|/' "$unavailable") || true; else cat; fi; }
}

may_install() { [ "$(id -u)" = 0 ] || type -P sudo >/dev/null; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

names_of() { cut -d'|' -f1 <<<"$1" | xargs; }

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

archive_has() { [[ $(apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ [0-9] ]]; }

# This machine's own source of its release, rewritten for backports: same mirror, same key, same options.
# Prints a .sources stanza or a .list line, preceded by the file suffix; nothing if there is no such source.
backports_source() {
    local files=()
    mapfile -t files < <(find /etc/apt/sources.list.d -name '*.sources' 2>/dev/null | sort)
    if [ ${#files[@]} -gt 0 ]; then
        awk -v suite="$codename" '
            function stanza_ends() {
                if (!found && matches && has_main && !off) { found = 1; printf "sources\n%s", text }
                text = ""; matches = has_main = off = 0; field = ""
            }
            FNR == 1 { stanza_ends() }
            /^[[:space:]]*$/ { stanza_ends(); next }
            /^#/ { next }
            /^[^[:space:]]/ { field = tolower($1) }
            field == "suites:" { for (i = 1; i <= NF; i++) if ($i == suite) matches = 1
                                 if ($1 ~ /:$/) text = text "Suites: " suite "-backports\n"; next }
            field == "components:" { for (i = 1; i <= NF; i++) if ($i == "main") has_main = 1
                                     if ($1 ~ /:$/) text = text "Components: main\n"; next }
            field == "enabled:" && tolower($2) == "no" { off = 1 }
            { text = text $0 "\n" }
            END { stanza_ends() }' "${files[@]}" | grep . && return
    fi
    mapfile -t files < <(find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.list' 2>/dev/null | sort)
    [ ${#files[@]} -gt 0 ] || return 0
    awk -v suite="$codename" '
        $1 != "deb" { next }
        match($0, /^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?[^[:space:]]+[[:space:]]+/) {
            head = substr($0, 1, RLENGTH); rest = substr($0, RLENGTH + 1)
            count = split(rest, word, /[[:space:]]+/); main = 0
            for (i = 2; i <= count; i++) if (word[i] == "main") main = 1
            if (word[1] == suite && main) { printf "list\n%s%s-backports main\n", head, suite; exit }
        }' "${files[@]}"
}

add_backports() {
    local source suffix file
    source=$(backports_source)
    [ -n "$source" ] || { echo "setup: no source of $codename in this machine's apt sources"; return 1; }
    suffix=${source%%$'\n'*}
    file=/etc/apt/sources.list.d/$codename-backports-for-weft.$suffix
    echo "setup: adding $codename-backports from this machine's own mirror as $file"
    as_root tee "$file" >/dev/null <<<"${source#*$'\n'}"
    if ! apt update || ! archive_has "$1"; then
        echo "setup: no luck with it; removing $file"
        as_root rm -f "$file"
        apt update || true
        return 1
    fi
}

# Succeeds if apt knows the package. Debian 12 has everything OpenTelemetry in its backports only.
make_available() {
    archive_has "$1" || case $release/$1 in
    debian-12/*opentelemetry*) add_backports "$1" ;;
    *) false ;;
    esac
}

install_missing() { # "package|why" lines of what must be and of what may be, then the groups
    local required=$1 optional=$2 wanted line package
    shift 2
    type -P apt-get >/dev/null || die "no apt-get here; install by other means: $(names_of "$required")"
    apt update || echo "setup: apt-get update failed; trying with the lists at hand"
    if grep -q '^clang-' <<<"$required"; then
        clang=$(newest_clang "$(apt-cache search --names-only '^clang-[0-9]+$' |
            sed 's/^clang-\([0-9]*\) .*/\1/' | sort -n)")
        [ -n "$clang" ] || die "the archive has no Clang 16 or newer"
        required=$(missing_packages "$@")
    fi
    wanted=$required
    while IFS='|' read -r package _; do
        [ -z "$package" ] || make_available "$package" || die "this machine's apt sources have no package $package"
    done <<<"$required"
    while IFS= read -r line; do
        package=${line%%|*}
        [ -n "$package" ] || continue
        if make_available "$package"; then
            wanted+=$'\n'$line
        else
            echo "setup: this release has no $package (${line#*|}); going on without"
            mkdir -p build/setup
            echo "$package" >>"$unavailable"
        fi
    done <<<"$optional"
    wanted=$(sed '/^$/d' <<<"$wanted")
    [ -n "$wanted" ] || return 0
    echo "setup: installing"
    awk -F'|' '{printf "  %-28s %s\n", $1, $2}' <<<"$wanted"
    local names
    mapfile -t names < <(cut -d'|' -f1 <<<"$wanted")
    mkdir -p build/setup
    apt install -y --no-install-recommends "${names[@]}" >build/setup/apt.log 2>&1 || {
        tail -n 20 build/setup/apt.log >&2
        die "apt-get install failed; its whole output is in build/setup/apt.log"
    }
}

# Installs what is missing of the groups. Silent and instant when nothing is.
need() {
    local required optional
    required=$(missing_packages "$@")
    optional=$(missing_optional "$@")
    [ -n "$required$optional" ] || return 0
    if ! may_install; then
        [ -z "$required" ] || die "not root, and no sudo here; run as root: apt-get install $(names_of "$required")"
        echo "setup: going on without $(names_of "$optional"): not root, and no sudo here" >&2
        return 0
    fi
    install_missing "$required" "$optional" "$@"
    required=$(missing_packages "$@")
    [ -z "$required" ] || die "still missing: $(names_of "$required")"
}
