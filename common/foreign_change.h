/* SPDX-License-Identifier: MIT */
/* What becomes of a row that is not as pvrelay last stored it, and not as the export says. */
#ifndef PR_FOREIGN_CHANGE_H
#define PR_FOREIGN_CHANGE_H

/*  name, word of options and configurations */
#define PR_FOREIGN_POLICIES(X)                                                                                         \
    X(REJECT, "reject")       /* the record is rejected */                                                             \
    X(KEEP, "keep")           /* the row stays as it is */                                                             \
    X(OVERWRITE, "overwrite") /* the row becomes what the export says */

typedef enum {
#define X(name, word) PR_FOREIGN_##name,
    PR_FOREIGN_POLICIES(X)
#undef X
} pr_foreign_policy_t;

#endif
