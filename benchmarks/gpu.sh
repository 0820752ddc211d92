#!/usr/bin/env bash
# What a GPU gives to mcls, in less than five minutes: the tests that need one, the training of nets
# and the learning of dictionaries beside their peers, and a summary.
#
#     benchmarks/gpu.sh                        # on a CUDA device
#     DEVICE=cpu benchmarks/gpu.sh             # the same with tiny sizes, to try the script
#
# It is made for a bare machine with torch for CUDA, numpy, scipy, scikit-learn, h5py, numba, click,
# rich, safetensors, joblib, threadpoolctl, matplotlib, hypothesis and pytest. Wheels of what mcls
# needs besides are taken from the folder WHEELS, without a network: librosa, soundfile, soxr, cffi,
# av, skops, audiomentations and platformdirs. A machine like it with a network fills the folder:
#
#     python -m pip download --only-binary :all: --dest benchmarks/wheels librosa soundfile soxr \
#         cffi av skops audiomentations platformdirs
#
# Environment: PYTHON, the interpreter; WHEELS, the folder (benchmarks/wheels); OUT, where the results
# go (build/gpu); LIMIT, all seconds (290); NETS and PRECISION of `mcls bench gpu`
# (bf16, on a CPU 32).
#
# The marked tests cover: nets and pooling over time give what the CPU gives (test_nets,
# test_time_pooling); every precision trains, and the CPU scores alike; a net is compiled by itself
# and the notes say so; tracks that are validated at once score as alone; --find-batch-size fills
# the card (tests/training); dictionaries learn what the CPU learns, and recorded steps compute what
# the steps do (test_psd, test_autoencoder, test_rbm_learning, test_rbm_steps, test_lasso,
# test_device_rows).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
wheels=${WHEELS:-benchmarks/wheels}
out=${OUT:-build/gpu}
limit=${LIMIT:-290}
read -ra nets <<<"${NETS:-fcn4 fcn5 crnn musicnn short-chunk-res}"
precision=${PRECISION:-$([[ $device == cpu ]] && echo 32 || echo bf16)}
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
SECONDS=0
mkdir -p "$out"

if [[ -d $wheels ]]; then
    "$python" -m pip install --quiet --no-index --find-links "$wheels" \
        librosa soundfile soxr cffi av skops audiomentations platformdirs
fi

# Run a section within its seconds and what is left of all; keep its output and how it ended.
section() {
    local name=$1 most=$2 began=$SECONDS left=$((limit - SECONDS)) status=0
    shift 2
    if ((left < most)); then most=$left; fi
    if ((most <= 0)); then
        echo "$name: left out, no time is left" >>"$out/summary.txt"
        return
    fi
    echo "== $name: $*" >&2
    timeout "$most" "$@" >"$out/$name.txt" 2> >(tee "$out/$name.err" >&2) || status=$?
    local ended="exit code $status"
    if ((status == 124)); then ended="cut off"; fi
    {
        echo "== $name: $ended after $((SECONDS - began)) s"
        tail -n 20 "$out/$name.txt"
    } >>"$out/summary.txt"
}

"$python" - "$device" >"$out/summary.txt" <<'PYTHON'
import platform, sys
import torch

cuda = sys.argv[1] == "cuda"
where = torch.cuda.get_device_name() if cuda else platform.processor() or "CPU"
print(f"{where}, torch {torch.__version__}, CUDA {torch.version.cuda}, Python {platform.python_version()}")
PYTHON

mapfile -t files < <(grep -rlE 'mark\.gpu' tests --include='test_*.py')
bench=(-m mcls bench gpu --device "$device" --precision "$precision")
dictionaries=(benchmarks/device_dictionaries.py --quick --device "$device")
if [[ $device == cpu ]]; then
    nets=(pons-time)
    bench+=(--width 0.05 --batch-size 2 --steps 1)
    dictionaries+=(--rows 5000)
fi

section tests 110 "$python" -m pytest -q -m gpu --durations=5 -p no:cacheprovider "${files[@]}"
for net in "${nets[@]}"; do section "$net" 60 "$python" "${bench[@]}" --net "$net"; done
if [[ -e ${dictionaries[0]} ]]; then section dictionaries 60 "$python" "${dictionaries[@]}"; fi
echo "== all in $SECONDS s; everything that was printed is in $out" >>"$out/summary.txt"
cat "$out/summary.txt"
