/* SPDX-License-Identifier: MIT */
/* pvrelay-writer: the recipe, nothing else. */
#include "writer/writer.h"

int main(int argc, char **argv) {
    return pr_daemon_main(&pr_writer_ops, argc, argv);
}
