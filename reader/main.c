/* SPDX-License-Identifier: MIT */
/* pvrelay-reader: the recipe, nothing else. */
#include "reader/reader.h"

int main(int argc, char **argv) {
    return pr_daemon_main(&pr_reader_ops, argc, argv);
}
