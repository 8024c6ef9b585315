/* Bytes between a command's descriptors and its streams. */
#ifndef PUMP_H
#define PUMP_H

#include "command.h"

/* Takes DATA for standard input. */
void pump_accept(struct command *command, const struct frame *frame);
/* Writes what is kept, and closes standard input after the host's EOF. */
void pump_input(struct command *command);
/* Moves one piece of output. Returns whether more can follow at once. */
bool pump_output(struct command *command, int side);
/* The first process has just been reaped: notes how much of the output was written before. */
void pump_measure(struct command *command);

#endif
