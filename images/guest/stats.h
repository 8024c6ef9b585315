/* What the kernel counted: STATS, and the peaks that only sampling shows. */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stddef.h>

int stats_open(void);
/* Takes the directories to watch, a string list. Returns false when it has not that form. */
bool stats_watch(const char *list, size_t length);
/* Samples when it is time to. */
void stats_tick(void);
void stats_send(void);

#endif
