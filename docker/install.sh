#!/usr/bin/env bash
# Installs the packages that /lists/$1.txt names, at the versions of /lists/requirements.txt, inside
# an image build; /packages.txt then lists what the image holds.
set -euo pipefail
export PIP_CACHE_DIR=/var/cache/pip

if [ -s /run/secrets/ca ]; then
    export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca
fi
options=(--disable-pip-version-check --quiet --constraint /lists/requirements.txt)
if compgen -G '/wheels/*.whl' >/dev/null; then
    options+=(--no-index --find-links /wheels)
elif [ "$1" = torch ] && [ "$TORCH_VARIANT" = cpu ]; then
    if [ ! -s /run/secrets/torch_index ]; then
        echo "error: TORCH_VARIANT=cpu needs TORCH_INDEX=<index of CPU builds of torch>" >&2
        exit 1
    fi
    # From that index alone: another one holds the CUDA build under the same version.
    pip install "${options[@]}" --no-deps --index-url "$(cat /run/secrets/torch_index)" torch
fi
pip install "${options[@]}" --requirement "/lists/$1.txt"

if [ "$1" = torch ]; then
    built=$(python -c 'import torch; print("cuda" if torch.version.cuda else "cpu")')
    if [ "$built" != "$TORCH_VARIANT" ]; then
        echo "error: TORCH_VARIANT=$TORCH_VARIANT, and pip found the $built build of torch" >&2
        exit 1
    fi
fi
pip freeze >/packages.txt
