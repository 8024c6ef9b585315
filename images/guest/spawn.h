/* Starts the program of a command: the parent's half. */
#ifndef SPAWN_H
#define SPAWN_H

#include "command.h"

enum spawn_stage { SPAWN_RESOURCES = 1, SPAWN_DIRECTORY = 2, SPAWN_EXECVE = 3 };

enum { SPAWN_REPORT_BYTES = 5 }; /* stage (1), errno (4) */

/* Returns 0, or the errno of what could not be had. Whether execve succeeds arrives on `command->report`. */
int spawn(struct command *command);

#endif
