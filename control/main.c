/* SPDX-License-Identifier: MIT */
/* pvrelay, the operator's command. */
#include "control/command.h"

int main(int argc, char **argv) {
    return pr_command_main(argc, argv);
}
