/* SPDX-License-Identifier: MIT */
/* Named windows at which a test can have a process killed, or stopped. */
#include "common/fault.h"

#ifdef PVRELAY_FAULT_POINTS
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void pr_fault(const char *name) {
    static unsigned long s_passed;
    const char *wanted = getenv("PVRELAY_FAULT");
    const char *marker = getenv("PVRELAY_FAULT_MARKER");
    if (wanted == NULL || marker == NULL)
        return;
    size_t size = strcspn(wanted, "@");
    if (strlen(name) != size || strncmp(name, wanted, size) != 0)
        return;
    unsigned long turn = wanted[size] == '@' ? strtoul(wanted + size + 1, NULL, 10) : 1;
    bool stop = getenv("PVRELAY_FAULT_STOP") != NULL;
    s_passed++;
    if (stop ? s_passed < turn : s_passed != turn)
        return;
    int file = open(marker, O_CREAT | (stop ? O_APPEND : O_EXCL) | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0)
        return; /* it has struck before */
    bool noted = !stop || write(file, "x", 1) == 1;
    close(file);
    if (noted)
        raise(stop ? SIGSTOP : SIGKILL);
}
#endif
