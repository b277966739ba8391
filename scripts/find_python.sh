#!/bin/sh
# Print a Python that can build the environment: $PYTHON if it is set, else the first found that will do.
# Where none will do, say of each one why.
set -eu

probe='
import sys
name = "Python %d.%d" % sys.version_info[:2]
if sys.version_info < (3, 11):
    sys.exit(name + " is too old")
for module, mend in (("venv", "python3-venv"), ("ensurepip", "python3-venv"), ("sqlite3", "libsqlite3 when it was built")):
    try:
        __import__(module)
    except ImportError:
        sys.exit("%s has no module %s; it lacks %s" % (name, module, mend))
'
reasons=
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
    if ! command -v "$python" >/dev/null 2>&1; then
        reason='not found'
    elif reason=$("$python" -c "$probe" 2>&1); then
        echo "$python"
        exit 0
    fi
    reasons="$reasons
  $python: $(echo "$reason" | head -n 1)"
done
echo "backburner needs Python 3.11 or later, with venv. Looked at:$reasons
Install one, or name one: make PYTHON=/path/to/python3.11" >&2
exit 1
