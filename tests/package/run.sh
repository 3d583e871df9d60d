#!/usr/bin/env bash
# run.sh find_package|add_subdirectory SOURCE BUILD WORK: builds and runs the consumer in WORK, made anew.
set -euo pipefail
way=$1 source=$2 build=$3 work=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

rm -rf "$work"
mkdir -p "$work"
case $way in
find_package)
    # Moved after the install: nothing in the package may point back to where it was installed, built or written.
    cmake --install "$build" --prefix "$work/installed"
    mv "$work/installed" "$work/moved"
    if grep -rIlF -e "$work/installed" -e "$source" -e "$build" "$work/moved"; then
        echo "these installed files name a folder of this machine" >&2
        exit 1
    fi
    # The program comes along, where it was built.
    if [ -x "$build/bin/weft" ]; then "$work/moved/bin/weft" --version; fi
    # Every installed header is there to be included, with what it includes.
    (cd "$work/moved/include" && find . -name '*.hpp' | sed 's|^\./\(.*\)$|#include <\1>|' | sort) >"$work/all_headers.cpp"
    options=(-DCMAKE_PREFIX_PATH="$work/moved" -DALL_HEADERS="$work/all_headers.cpp")
    ;;
add_subdirectory) options=(-DWEFT_SOURCE="$source" -DWEFT_WARNINGS_AS_ERRORS=ON) ;;
*)
    echo "unknown way '$way'" >&2
    exit 2
    ;;
esac
# The flags of the release build, so that a compiler cache has what the library consists of.
cmake -S "$here/consumer" -B "$work/build" -DCMAKE_BUILD_TYPE=Release "${options[@]}"
cmake --build "$work/build" --target consumer -j 2
"$work/build/consumer"
