/* Edge-triggered readiness: an event only sets a flag and wakes the operation that owns the descriptor.
 * A flag stays set until a read or write said EAGAIN, so nothing spins on what it can't use yet. */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct operation;

struct source {
	int fd; /* -1: none */
	bool readable;
	bool writable;
	bool hung_up; /* nobody writes to it any more */
	bool broken;  /* the other end of a pipe that we write to is gone */
	struct operation *owner;
};

enum watch_for { WATCH_INPUT = 1, WATCH_OUTPUT = 2, WATCH_ONCE = 4 };

/* These return 0 or an errno. */
int loop_open(void);
int loop_watch(struct source *source, int what);
/* Waits for the next input of a source that is watched with WATCH_ONCE: what arrives before that wakes nobody. */
void loop_await_input(struct source *source);
int loop_wait(int timeout_ms);
/* Forgets and closes a descriptor, if there is one. */
void loop_close(struct source *source);
void close_fd(int *fd);

#endif
