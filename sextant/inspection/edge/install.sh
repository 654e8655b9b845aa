#!/bin/sh
# Installs the sorter into a folder: sh install.sh [FOLDER]. Needs Python 3.11 or newer and its venv module.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-"$HOME/sextant-edge"}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "The sorter needs Python 3.11 or newer.")'
mkdir -p "$target"
# On Raspberry Pi OS the camera's library comes with the system: the environment sees it. pip sees the system's other
# packages, too, and would call it an error that some ask for other versions; none of them is installed or changed here.
"$python" -m venv --system-site-packages "$target/venv"
"$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
  --no-warn-conflicts --ignore-installed -r "$here/requirements.txt"
"$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall \
  "$here"/sextant_edge-*.whl
cp "$here/model.tar.gz" "$target/model.tar.gz"
[ -e "$target/sextant-edge.toml" ] || cp "$here/sextant-edge.toml" "$target/sextant-edge.toml"
echo "Installed. Set the pins and travel_s in $target/sextant-edge.toml, then:"
"$python" -c 'import shlex, sys; print(" ", shlex.join(sys.argv[1:]))' \
  "$target/venv/bin/sextant-edge" run --config "$target/sextant-edge.toml"
