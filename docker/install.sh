#!/bin/sh
# Install dtc into a virtual environment. The Dockerfile and the Makefile both run this script, so that every `make`
# tests the installation of the image.
#
#   docker/install.sh packages ENVIRONMENT    the versions of requirements.lock
#   docker/install.sh dtc ENVIRONMENT [-e]    dtc itself; -e: the code of this folder stays where it is
#
# DEVICE=cpu leaves out NVIDIA's packages (4 GB) and takes torch from TORCH_INDEX, an index with wheels for CPUs.
# PYTHON is the Python that makes the environment.
set -eu
cd "$(dirname "$0")/.."
what=$1 environment=$2 editable=${3:-}

if [ ! -x "$environment/bin/python" ]; then
    "${PYTHON:-python3}" -m venv "$environment"
fi
# $install is used without quotes, as it has several words.
install="$environment/bin/python -m pip install --quiet --no-deps"

case "$what:${DEVICE:-cuda}" in
packages:cuda)
    $install --requirement requirements.lock
    ;;
packages:cpu)
    : "${TORCH_INDEX:?is not set, expected the address of an index with wheels for CPUs}"
    others=$(mktemp)
    # An entry of the lock begins in the first column; its hashes are in the lines after it.
    awk '/^[^ ]/ { kept = !/^(nvidia-|cuda-|triton|torch==|torchaudio==)/ } kept' requirements.lock > "$others"
    $install --requirement "$others"
    rm "$others"
    # shellcheck disable=SC2046  # two words: torch and torchaudio
    $install --index-url "$TORCH_INDEX" $(sed -n 's/^\(torch\(audio\)\?==[^ ]*\).*/\1/p' requirements.lock)
    ;;
dtc:*)
    $install --no-build-isolation $editable .
    ;;
*)
    echo "docker/install.sh: found $what with DEVICE=${DEVICE:-cuda}, expected packages or dtc, cpu or cuda" >&2
    exit 2
    ;;
esac
