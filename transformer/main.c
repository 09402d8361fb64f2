/* SPDX-License-Identifier: MIT */
/* pvrelay-transformer: the recipe, nothing else. */
#include "transformer/transformer.h"

int main(int argc, char **argv) {
    return pr_daemon_main(&pr_transformer_ops, argc, argv);
}
