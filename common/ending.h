/* SPDX-License-Identifier: MIT */
/* The last words of a writer: how a run ended, for whoever comes when the writer has gone. */
/*  DESIGN
 *
 *  The target holds the state of a run; this is no second place for it but a message to those who were not there when
 *  the writer said goodbye: a stage that was stopped just then, the manager of a spool that was being restarted. It is
 *  a file in the run folder, ended.json, replaced as a whole:
 *
 *      {"run": UUID, "error": name of the error or "OK", "exit_code": N, "text": "..."}
 *
 *  It is written by the writer alone: after the run's end is committed in the target and before it is published
 *  (complete), or when the run cannot go on (failed). A writer that takes up a run clears what speaks of it. A writer
 *  that dies before it was written finds the end in the target when it is started again, and writes it then. A file
 *  that speaks of another run means nothing.
 */
#ifndef PR_ENDING_H
#define PR_ENDING_H

#include "common/error.h"
#include "common/message.h"

typedef struct {
    pr_run_id_t run;
    pr_error_code_t code; /* OK, REJECTED, VALIDATION: complete, with that outcome; others: the run stopped */
    char text[1024];      /* of a run that stopped: why */
} pr_ending_t;

/* Write it. Errors: -PR_E_CONFIG (the run folder takes no file). */
int pr_ending_save(const char *run_dir, const pr_ending_t *ending, pr_error_t *err);

/*  Is there one of this run? 1 and ret_ending, or 0; a file that is not what it should be counts as none. run: NULL: of
 *  any run. */
int pr_ending_load(const char *run_dir, const pr_run_id_t *run, pr_ending_t *ret_ending);

/* Remove it if it is of this run. */
void pr_ending_clear(const char *run_dir, const pr_run_id_t *run);

#endif
