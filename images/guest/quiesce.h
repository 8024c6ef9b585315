/* Reaping, and the end of every process but the guest. */
#ifndef QUIESCE_H
#define QUIESCE_H

#include <stdbool.h>

enum { QUIESCE_RETRY_MS = 5 };

/* Reaps what has ended, a bounded number at a time. Returns whether there may be more. */
bool reap(void);
/* SIGKILL to everything that can still run. */
void kill_everything(void);

void quiesce_begin(void);
bool quiescing(void);
/* Answers a STATS_REQUEST: at once, or when nothing is left if that was asked for before. */
void quiesce_count(void);
/* Goes on with it, and sends QUIESCED when nothing is left, then what is to be counted. */
void quiesce_step(void);

#endif
