#!/usr/bin/env bash
# All trainings of device.py side by side on one GPU: device_all.sh FACES OUTPUT SECONDS
# The faithful networks take the first half of the time, those that start from them the rest.
set -u
faces=$1 output=$2 seconds=$3
here=$(cd "$(dirname "$0")" && pwd)
start=$(date +%s)
half=$((start + seconds * 52 / 100)) end=$((start + seconds))
weights=$(python3 -c 'from facehall.models.pretrained import WEIGHTS_FOLDER; print(WEIGHTS_FOLDER)')
mkdir -p "$output"

train() { # JOB END [ARGUMENT...]
  local job=$1 until=$2
  shift 2
  python3 "$here/device.py" "$job" "$faces" "$output/$job" --end "$until" "$@" > "$output/$job.log" 2>&1 ||
    echo "$job failed: $output/$job.log"
}

pair() { # FAITHFUL OTHER [ARGUMENT...]
  local faithful=$1 other=$2
  shift 2
  train "$faithful" "$half" "$@"
  train "$other" "$end" --init "$output/$faithful.safetensors"
}

pair x4_faithful x4_balanced --init "$weights/facehall-x4_faithful.safetensors" &
pair blind_faithful blind --init "$weights/facehall-x4_faithful.safetensors" &
pair x8_faithful x8 &
wait
tail -n 1 "$output"/*.log
