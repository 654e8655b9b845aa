#!/bin/sh
# Starts a fine-tuning in SageMaker's container of PyTorch, which has torch and little else: what the code beside this
# script needs is installed from the registry of Python packages, then this becomes the launcher of the ranks.
set -eu
cd "$(dirname "$0")/../.."
python3 -m pip install --disable-pip-version-check -r training/slides/requirements.txt || {
  echo "The packages of training/slides/requirements.txt cannot be installed, the job's log has pip's reason:" \
    "in a VPC the job needs a way to a registry of Python packages" >"${OPT_ML:-/opt/ml}/output/failure"
  exit 1
}
exec python3 -m training.slides.launch
