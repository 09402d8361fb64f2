/* SPDX-License-Identifier: MIT */
/* What systemd is told. */
#include "common/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "common/text.h"

void pr_notify_status(const char *format, ...) {
    char raw[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    sd_notifyf(0, "STATUS=%s", pr_text_line(raw).text);
}
