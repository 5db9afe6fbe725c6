#!/usr/bin/env bash
# Runs tests with every Python that is here, newest dependencies, and once with the oldest. See docs/releasing.md.
#   .ci/matrix.sh [PYTHON VERSION ...]      TESTS="tests/heads -x" .ci/matrix.sh 3.12
set -uo pipefail
cd "$(dirname "$0")/.."
versions=${*:-3.10 3.11 3.12 3.13 3.14}
tests=${TESTS:-tests -m "not slow and not gpu"}
failed="" skipped="" passed=""

find_python() {
    local found
    for found in "python$1" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
        if "$found" -c "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != tuple(map(int, '$1'.split('.'))))" 2>/dev/null; then
            command -v "$found" && return
        fi
    done
    return 1
}

try() {  # name, interpreter, arguments of pip
    local place=build/matrix/$1 interpreter=$2
    shift 2
    echo "== $place"
    rm -rf "$place"
    "$interpreter" -m venv "$place" &&
        "$place/bin/pip" install -qq --no-compile "$@" ".[finetune]" pytest pytest-xdist hypothesis "highdicom; python_version < '3.14'" ./plugins/*/ &&
        eval OMP_NUM_THREADS=1 "$place/bin/python" -m pytest -p no:cacheprovider "$tests"
}

for version in $versions; do
    if ! interpreter=$(find_python "$version"); then
        skipped="$skipped $version"
        continue
    fi
    if try "$version" "$interpreter"; then passed="$passed $version"; else failed="$failed $version"; fi
    if [ -z "${oldest:-}" ]; then
        oldest=$version
        mkdir -p build/matrix
        "build/matrix/$version/bin/python" .ci/oldest.py > build/matrix/oldest.txt
        if try "$version-oldest" "$interpreter" --constraint build/matrix/oldest.txt; then passed="$passed $version-oldest"; else failed="$failed $version-oldest"; fi
    fi
done
echo "passed:${passed:- none}; failed:${failed:- none}; no interpreter here:${skipped:- none}"
[ -z "$failed" ]
