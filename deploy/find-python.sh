#!/bin/sh
# Makes the virtual environment with the first Python of 3.11 to 3.13 that can; else says the one command to run.
# Called by the Makefile: sh deploy/find-python.sh make-venv DIR
set -u
venv=$2
found=""
for candidate in python3.13 python3.12 python3.11 python3; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
    found=$candidate
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null && "$candidate" -m venv "$venv"; then
        exit 0
    fi
    rm -rf "$venv"
done
if [ "$(uname)" = Darwin ]; then
    advice="brew install python@3.12"
elif [ -n "$found" ]; then
    advice="apt-get install python3-venv"
else
    advice="apt-get install python3 python3-venv"
fi
if [ -n "$found" ]; then
    echo "LLM Ledger found $found, but it cannot make a virtual environment. Run: $advice" >&2
else
    echo "LLM Ledger needs Python 3.11, 3.12 or 3.13 and found none. Run: $advice" >&2
fi
exit 2
