/* SPDX-License-Identifier: MIT */
/* pvrelay-validator: the recipe, nothing else. */
#include "validator/validator.h"

int main(int argc, char **argv) {
    return pr_daemon_main(&pr_validator_ops, argc, argv);
}
