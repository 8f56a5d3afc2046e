#!/usr/bin/env bash
# Packs what gpu.py needs on a GPU machine that has PyTorch, Lightning and scikit-learn, but no network.
#
#     benchmarks/gpu_pack.sh                                   # wheels for Python 3.12 into gpu_pack/
#     PYTHON_VERSION=3.11 benchmarks/gpu_pack.sh photographs.zip    # for another Python, with data
#
# It prints the commands to run there. The folder, with the data, must stay below 64 MB; git ignores it.
set -euo pipefail
cd "$(dirname "$0")/.."
version="${PYTHON_VERSION:-3.12}"
folder=gpu_pack
most=$((64 * 1000 * 1000))
# Of the dependencies in pyproject.toml those that are seldom installed; wandb is not needed without logger=wandb.
packages=(hydra-core==1.3.8 omegaconf==2.3.1 simplejpeg==1.9.0 h5netcdf==1.8.2)

for file in "$@"; do
  [[ -f "$file" ]] || { echo "$file is not a file; give files to pack, such as a zip of photographs." >&2; exit 2; }
done
rm -rf "$folder"
mkdir -p "$folder/wheels" "$folder/data"
platforms=()
for glibc in 2_17 2_24 2_27 2_28 2_34; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version "$version" --implementation cp \
  "${platforms[@]}" --platform manylinux2014_x86_64 --dest "$folder/wheels" "${packages[@]}"
# Only its source is published; the wheel is of Python alone.
python3 -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheels" antlr4-python3-runtime==4.9.3
for file in "$@"; do cp "$file" "$folder/data/"; done

size=$(du --apparent-size --bytes --summarize "$folder" | cut -f1)
if ((size > most)); then
  echo "$folder has $size bytes, and $most are the most; leave out data." >&2
  exit 1
fi
echo "$folder: $((size / 1000000)) MB. On the GPU machine, in the repository:"
echo "  python3 -m pip install --no-index --no-deps --target /tmp/site $folder/wheels/*.whl"
echo "  PYTHONPATH=/tmp/site python3 benchmarks/gpu.py$([[ $# -gt 0 ]] && printf ' --photographs %s/data/%s' "$folder" "$(basename "$1")")"
