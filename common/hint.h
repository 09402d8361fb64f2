/* SPDX-License-Identifier: MIT */
/* Commands that messages offer: quoted for a shell, and with `pvrelay` as it can be called. */
#ifndef PR_HINT_H
#define PR_HINT_H

/* Room for a command within a message. */
enum { PR_HINT_BYTES = 640 };

/*  What calls the pvrelay that belongs to this program: "pvrelay" if PATH finds the one beside it, else its path, quoted
 *  for a shell. */
const char *pr_hint_program(void);

/* The same of this program itself: "pvrelay-reader" if PATH finds this one, else its path, quoted. */
const char *pr_hint_self(void);

/* A word as a POSIX shell reads it back: as it is, or in quotes. *Returns new*. */
char *pr_hint_quote(const char *word);

/*  The command of these words, a NULL after the last: pr_hint_command("rejects", "--target", target, NULL) is
 *  "pvrelay rejects --target 'my hub.db'". *Returns new*. */
char *pr_hint_command(const char *word, ...) __attribute__((sentinel));

/* The command of these words, argc of them. *Returns new*. */
char *pr_hint_line(int argc, char *const *argv);

/* The same into a buffer, for messages: cut if it does not fit. Returns buffer. */
const char *pr_hint_into(char *buffer, unsigned size, const char *word, ...) __attribute__((sentinel));

#endif
