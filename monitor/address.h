/* SPDX-License-Identifier: MIT */
/* Where the monitor listens, and by which names it answers there. */
#ifndef PR_MONITOR_ADDRESS_H
#define PR_MONITOR_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/error.h"

#define PR_ADDRESS_DEFAULT "127.0.0.1:9478"

typedef struct {
    struct sockaddr_storage socket;
    socklen_t size;
    uint16_t port;
    bool loopback; /* nobody but this machine reaches it */
    char host[64]; /* as it stands in a URL: "127.0.0.1", "[::1]" */
} pr_address_t;

/*  "127.0.0.1:9478", "[::1]:9478", "localhost:9478" (127.0.0.1); port 0: one that is free.
 *  Errors: -PR_E_USAGE. ret_address: untouched on failure. */
int pr_address_parse(const char *text, pr_address_t *ret_address, pr_error_t *err);

/*  Listen there. ret_fd: *returns new* (close), non-blocking; address->port becomes the one that was taken.
 *  Errors: -PR_E_CONFIG (taken by another process, not an address of this machine, no right). */
int pr_address_listen(pr_address_t *address, int *ret_fd, pr_error_t *err);

/*  May a request with this Host header be answered? On a loopback address only one that names it: a page of anybody's
 *  server, whose name its author lets point to 127.0.0.1, could read what is told here (DNS rebinding). On any other
 *  address names are the network's business. host: NULL: there is none, which no browser does. */
bool pr_address_answers(const pr_address_t *address, const char *host);

#endif
