#!/bin/bash
#SBATCH --job-name=tests
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --output=tests-%A-%a.log

if [ -z "$MERGE" ]; then
    # the first of the array asks for the job that merges; it begins when all parts are over, whatever came of them
    if [ "$SLURM_ARRAY_TASK_ID" = 1 ]; then
        MERGE=$SLURM_ARRAY_JOB_ID sbatch --array=1 --dependency="afterany:$SLURM_ARRAY_JOB_ID" --export=ALL "$0"
    fi
    exec python -m isolatedunit --history none -j "$SLURM_CPUS_PER_TASK" \
        --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --json "tests-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID.json"
fi
exec python -m isolatedunit merge "tests-$MERGE"-*.json --json tests.json
