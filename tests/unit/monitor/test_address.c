/* SPDX-License-Identifier: MIT */
/* Addresses to listen on, and the names that are answered there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/address.h"

static void test_good(void **state) {
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:9478", "127.0.0.1", 9478, true},  {"127.1.2.3:0", "127.1.2.3", 0, true},
        {"localhost:1", "127.0.0.1", 1, true},        {"0.0.0.0:65535", "0.0.0.0", 65535, false},
        {"10.0.0.7:80", "10.0.0.7", 80, false},       {"[::1]:9478", "[::1]", 9478, true},
        {"[0:0::0:1]:9478", "[::1]", 9478, true},     {"[::]:9478", "[::]", 9478, false},
        {"[fe80::1]:9478", "[fe80::1]", 9478, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pr_address_t address;
        assert_int_equal(pr_address_parse(cases[i].text, &address, NULL), 0);
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        assert_int_equal(address.loopback, cases[i].loopback);
    }
}

static void test_bad(void **state) {
    static const char *const cases[] = {"",
                                        "9478",
                                        ":",
                                        ":9478",
                                        "127.0.0.1",
                                        "[::1]",
                                        "::1:9478",
                                        "127.0.0.1:",
                                        "127.0.0.1:-1",
                                        "127.0.0.1: 1",
                                        "1.2.3:80",
                                        "[]:80",
                                        "[::1:80",
                                        "::1]:80",
                                        "127.0.0.1:65536",
                                        "[1.2.3.4]:80",
                                        "host.example:80",
                                        "127.0.0.1:000080",
                                        "127.0.0.1:0x50"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_address_t address = {.port = 7};
        char expected[256];
        snprintf(expected, sizeof expected,
                 "--listen %s: an address and a port are expected, as in 127.0.0.1:9478 or [::1]:9478", cases[i]);
        assert_int_equal(pr_address_parse(cases[i], &address, &err), -PR_E_USAGE);
        assert_string_equal(err.text, expected);
        assert_int_equal(address.port, 7);
    }
}

static void test_names(void **state) {
    pr_address_t address;
    (void)state;
    assert_int_equal(pr_address_parse("127.0.0.2:9478", &address, NULL), 0);
    assert_true(pr_address_answers(&address, NULL));
    assert_true(pr_address_answers(&address, "127.0.0.2:9478"));
    assert_true(pr_address_answers(&address, "127.0.0.1"));
    assert_true(pr_address_answers(&address, "LocalHost:80"));
    assert_true(pr_address_answers(&address, "[::1]:80"));
    assert_false(pr_address_answers(&address, ""));
    assert_false(pr_address_answers(&address, ":9478"));
    assert_false(pr_address_answers(&address, "localhost:"));
    assert_false(pr_address_answers(&address, "localhost:80:80"));
    assert_false(pr_address_answers(&address, "localhost.evil.example"));
    assert_false(pr_address_answers(&address, "[::1]x"));
    assert_false(pr_address_answers(&address, "evil.example"));
    assert_int_equal(pr_address_parse("0.0.0.0:9478", &address, NULL), 0);
    assert_true(pr_address_answers(&address, "monitor.plant.example:9478"));
}

static void test_listen(void **state) {
    pr_error_t err = PR_ERROR_INIT;
    pr_address_t address;
    char expected[256];
    int fd = -1;
    int other = -7;
    (void)state;
    assert_int_equal(pr_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(pr_address_listen(&address, &fd, NULL), 0);
    assert_true(address.port > 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", (unsigned)address.port);
    assert_int_equal(pr_address_parse(expected, &address, NULL), 0);
    assert_int_equal(pr_address_listen(&address, &other, &err), -PR_E_CONFIG);
    snprintf(expected, sizeof expected,
             "cannot listen on 127.0.0.1:%u: Address already in use; give another --listen ADDRESS:PORT",
             (unsigned)address.port);
    assert_string_equal(err.text, expected);
    assert_int_equal(other, -7);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
