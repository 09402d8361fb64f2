/* SPDX-License-Identifier: MIT */
/* Where the monitor listens. */
#include "monitor/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { s_backlog = 64 };

/* Digits only, 0 to 65535. */
static bool s_parse_port(const char *text, uint16_t *ret_port) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return false;
    long port = strtol(text, NULL, 10);
    if (port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool s_set_v4(pr_address_t *address, const char *host) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    if (inet_pton(AF_INET, strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host, &v4.sin_addr) != 1)
        return false;
    memcpy(&address->socket, &v4, sizeof v4);
    address->size = sizeof v4;
    address->loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    inet_ntop(AF_INET, &v4.sin_addr, address->host, sizeof address->host);
    return true;
}

static bool s_set_v6(pr_address_t *address, const char *host) {
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return false;
    memcpy(&address->socket, &v6, sizeof v6);
    address->size = sizeof v6;
    address->loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    snprintf(address->host, sizeof address->host, "[%s]", text);
    return true;
}

int pr_address_parse(const char *text, pr_address_t *ret_address, pr_error_t *err) {
    pr_address_t address = {.size = 0};
    char host[64];
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    bool good = colon != NULL && size < sizeof host && s_parse_port(colon + 1, &address.port);
    if (good && size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        snprintf(host, sizeof host, "%.*s", (int)size - 2, text + 1);
        good = s_set_v6(&address, host);
    } else if (good) {
        snprintf(host, sizeof host, "%.*s", (int)size, text);
        good = s_set_v4(&address, host);
    }
    if (!good)
        return pr_error_set(err, PR_E_USAGE,
                            "--listen %s: an address and a port are expected, as in 127.0.0.1:9478 or [::1]:9478",
                            text);
    *ret_address = address;
    return 0;
}

static int s_failed(const pr_address_t *address, pr_error_t *err) {
    return pr_error_set(err, PR_E_CONFIG, "cannot listen on %s:%u: %s; give another --listen ADDRESS:PORT",
                        address->host, (unsigned)address->port, strerror(errno));
}

int pr_address_listen(pr_address_t *address, int *ret_fd, pr_error_t *err) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {.sin6_port = 0}};
    socklen_t size = sizeof bound;
    int on = 1;
    int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return s_failed(address, err);
    /* A predecessor's connections that are just being buried do not count; one that listens does. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->socket.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&address->socket, address->size) < 0 || listen(fd, s_backlog) < 0 ||
        getsockname(fd, &bound.any, &size) < 0) {
        int result = s_failed(address, err);
        close(fd);
        return result;
    }
    address->port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    *ret_fd = fd;
    return 0;
}

bool pr_address_answers(const pr_address_t *address, const char *host) {
    uint16_t port;
    if (!address->loopback || host == NULL)
        return true;
    /* Any port will do: the name is what tells a rebound page, and a tunnel may end at another port. */
    const char *bracket = strchr(host, ']');
    const char *colon = strchr(bracket != NULL ? bracket : host, ':');
    size_t size = colon != NULL ? (size_t)(colon - host) : strlen(host);
    if (colon != NULL && !s_parse_port(colon + 1, &port))
        return false;
    const char *const names[] = {"localhost", "127.0.0.1", "[::1]", address->host};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == size && strncasecmp(names[i], host, size) == 0)
            return true;
    }
    return false;
}
