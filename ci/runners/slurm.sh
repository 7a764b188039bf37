#!/usr/bin/env bash
# A sweep as a job array: sbatch ci/runners/slurm.sh. Needs target/release/logquake on a disk that all nodes see. A part that
# is preempted is queued again and goes on where its file ends. When all have ended:
#   target/release/logquake merge logquake-JOB-*.jsonl --junit sweep.xml
# or, queued along with it: sbatch --dependency=afterany:JOB --wrap="target/release/logquake merge logquake-JOB-*.jsonl"
#SBATCH --job-name=logquake
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=logquake-%A-%a.txt
set -euo pipefail
exec target/release/logquake sweep --seeds "${SEEDS:-0..100000}" --shard auto --jobs "$SLURM_CPUS_PER_TASK" \
    --resume "logquake-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID.jsonl"
