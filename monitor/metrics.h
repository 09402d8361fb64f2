/* SPDX-License-Identifier: MIT */
/* The counters as Prometheus takes them: text format 0.0.4. */
/*  https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 *
 *  A series is of one process and is never summed over workers: it begins at 0 with its process, and rate() takes care of
 *  that; in a sum it could not. A process that is down has pvrelay_stage_up 0 and no other series. */
#ifndef PR_MONITOR_METRICS_H
#define PR_MONITOR_METRICS_H

#include "monitor/snapshot.h"

#define PR_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*  The families.
 *
 *  WHOLE(name, type, help, function)            of the monitor and the run
 *  STAGE(name, type, help, stages, function)    a process's, by function: several series
 *  PLAIN(name, type, help, stages, expression)  a process's, one series: a number made from its `counters`
 *
 *  stages: who counts it; from the others it would be 0 for ever. */
#define PR_METRICS(WHOLE, STAGE, PLAIN)                                                                                \
    WHOLE(build_info, gauge, "Version of the monitor that answers; always 1.", s_build_info)                           \
    WHOLE(stage_up, gauge, "Whether a stage's process is heard (1) or down (0).", s_stage_up)                          \
    WHOLE(run_info, gauge, "The run that is on, by its id; always 1.", s_run_info)                                     \
    WHOLE(run_records, gauge, "Records that the exports of the run hold.", s_run_records)                              \
    WHOLE(committed_records, gauge, "Records of the run up to the committed position.", s_committed_records)           \
    WHOLE(validated_records, gauge, "Records of the run that are accepted and validated.", s_validated_records)        \
    WHOLE(rejected_records, gauge, "Records of the run that are rejected.", s_rejected_records)                        \
    WHOLE(run_failures, gauge, "Failures of the validation that the target keeps of the run.", s_run_failures)         \
    WHOLE(run_phase, gauge, "What the run is busy with; always 1.", s_run_phase)                                       \
    WHOLE(run_indexes, gauge, "Indexes to be built after the last record.", s_run_indexes)                             \
    WHOLE(run_indexes_left, gauge, "Those of them that are not built yet.", s_run_indexes_left)                        \
    WHOLE(run_progress_ratio, gauge, "Part of the run's time that has passed, all phases included.", s_run_progress)   \
    WHOLE(run_eta_seconds, gauge, "Time until the run is complete, all phases included.", s_run_eta)                   \
    WHOLE(run_elapsed_seconds, gauge, "Time spent on the run, over all its continuations.", s_run_elapsed)             \
    PLAIN(stage_start_time_seconds, gauge, "When the process started, in seconds since 1970.", PR_FROM_EVERYONE,       \
          s_seconds(counters->start_ms))                                                                               \
    PLAIN(stage_restarts_total, counter, "Starts of the stage in its run folder after the first one.",                 \
          PR_FROM_EVERYONE, (double)(counters->starts > 0 ? counters->starts - 1 : 0))                                 \
    PLAIN(cpu_seconds_total, counter, "Processor time of the process, user and system.", PR_FROM_EVERYONE,             \
          (double)counters->cpu_us / 1e6)                                                                              \
    PLAIN(working_seconds_total, counter, "Time that the stage was at work.", PR_FROM_EVERYONE,                        \
          (double)counters->working_us / 1e6)                                                                          \
    PLAIN(wait_input_seconds_total, counter, "Time that the stage had nothing to do.", PR_FROM_EVERYONE,               \
          (double)counters->wait_input_us / 1e6)                                                                       \
    PLAIN(wait_output_seconds_total, counter, "Time that the stage had something that nobody had room for.",           \
          PR_FROM_EVERYONE, (double)counters->wait_output_us / 1e6)                                                    \
    STAGE(records_total, counter, "Records dealt with, by result.", PR_FROM_EVERYONE, s_records)                       \
    PLAIN(batches_total, counter, "Batches dealt with.", PR_FROM_EVERYONE, (double)counters->batches)                  \
    PLAIN(bytes_total, counter, "Bytes of raw records dealt with.", PR_FROM_EVERYONE, (double)counters->bytes)         \
    STAGE(rejects_total, counter, "Records rejected, by reason.", PR_FROM(TRANSFORMER) | PR_FROM(WRITER), s_rejects)   \
    PLAIN(resends_total, counter, "Times the reader went back (reader) or was asked to (writer).",                     \
          PR_FROM(READER) | PR_FROM(WRITER), (double)counters->resends)                                                \
    STAGE(protocol_errors_total, counter, "Messages dropped, by what is wrong with them.", PR_FROM_EVERYONE,           \
          s_protocol_errors)                                                                                           \
    STAGE(commit_duration_seconds, histogram, "Time that a transaction takes.", PR_FROM(WRITER), s_commits)            \
    PLAIN(window_bytes, gauge, "Bytes of raw records sent beyond the committed position.", PR_FROM(READER),            \
          (double)counters->window_bytes)                                                                              \
    PLAIN(checkpoint_number, gauge, "Newest checkpoint that the stage knows of.", PR_FROM_EVERYONE,                    \
          (double)counters->checkpoint)                                                                                \
    PLAIN(validated_checkpoint_number, gauge, "Newest checkpoint before which all have their verdict.",                \
          PR_FROM(WRITER) | PR_FROM(VALIDATOR), (double)counters->validated_checkpoint)                                \
    STAGE(validation_rows_total, counter, "What the proof compared, by result: records proved, rows that failed.",     \
          PR_FROM(VALIDATOR), s_validation)                                                                            \
    PLAIN(last_progress_timestamp_seconds, gauge, "When anything last moved in the stage, in seconds since 1970.",     \
          PR_FROM_EVERYONE, s_seconds(counters->last_progress_ms))

/* *Returns new* (free). */
char *pr_metrics_print(const pr_snapshot_t *snapshot);

#endif
