#!/usr/bin/env bash
# Makes .venv from requirements-dev.lock. Called by `make setup`; a stamp there decides when.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "this step needs root, and there is no sudo: $*" >&2
        return 1
    fi
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

if ! python=$(find_python); then
    found=$("${PYTHON:-python3}" --version 2>&1 || true)
    say "Fleetscope needs Python 3.11 or later; found: ${found:-none}." >&2
    say "Install one, or name it: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=python3-venv
    if [ "$(command -v "$python")" != /usr/bin/python3 ]; then
        package="$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')-venv"
    fi
    if ! command -v apt-get >/dev/null; then
        say "$python has no venv module, and there is no apt-get to install it with." >&2
        exit 1
    fi
    say "$python cannot make virtual environments; installing Debian's $package"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null
fi

lock_sum=$(sha256sum <requirements-dev.lock | cut -d ' ' -f 1)
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null ||
    [ "$(cat .venv/lock.sha256 2>/dev/null)" != "$lock_sum" ]; then
    say "making .venv with $("$python" --version) from requirements-dev.lock"
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --disable-pip-version-check -q \
        --require-hashes -r requirements-dev.lock
    printf '%s\n' "$lock_sum" >.venv/lock.sha256
fi
# setuptools warns of folders that are in the way of an editable package; here they are the package.
PYTHONWARNINGS=ignore .venv/bin/python -m pip install --disable-pip-version-check -q \
    --no-deps --no-build-isolation -e .
say "ready: .venv ($(.venv/bin/python --version))"
