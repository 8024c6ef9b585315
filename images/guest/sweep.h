/* The end of every process of one command, and of no other. */
#ifndef SWEEP_H
#define SWEEP_H

#include <stdbool.h>
#include <stdint.h>

enum { SWEEP_RETRY_MS = 5 };

/* `number` is that of a command which was started once. */
void sweep_begin(uint32_t number);
bool sweeping(void);
/* Goes on with it, and sends SWEPT for each command of which nothing is left. */
void sweeps_step(void);

#endif
