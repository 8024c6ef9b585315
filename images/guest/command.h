/* One command: from the pieces of its request to the last byte of its output. */
#ifndef COMMAND_H
#define COMMAND_H

#include <sys/resource.h>
#include <sys/types.h>

#include "loop.h"
#include "operation.h"
#include "request.h"
#include "stream.h"

enum command_state {
	COLLECTING, /* EXEC_BODY frames arrive */
	REFUSED,    /* it can't be started: FAILED is still to be sent */
	STARTING,   /* forked; the report pipe will tell whether execve succeeded */
	RUNNING,    /* STARTED was sent */
	EXITED,     /* EXIT was sent, output may follow */
};

enum { STDOUT_SIDE = 0, STDERR_SIDE = 1, SIDES = 2, LAST_SIGNAL = 64 };

struct command {
	struct operation operation;
	struct command *next;
	enum command_state state;
	struct request request;
	uint8_t failed_stage;
	int failed_error;
	pid_t pid;
	bool alive; /* forked and not yet reaped: only then is `pid` surely ours */
	bool told_to_end; /* the host has sent SIGTERM: the first process takes what is left of its group with it */
	int status;
	struct rusage usage;
	uint64_t early_signals; /* arrived before there was a process group to take them */
	struct source report;   /* from the child: end of file once execve succeeded, else stage and errno */
	struct source input;
	struct source output[SIDES];
	struct inflow in;
	bool line_open; /* what was last written to the terminal did not end a line */
	struct outflow out[SIDES];
	size_t left[SIDES]; /* after the end: bytes that were written before it */
	int first_side;     /* takes turns, so that neither can fill the outgoing buffer alone */
};

/* Takes one frame on either stream of a command. `command` is NULL for the first frame of a new one. */
void command_frame(struct command *command, const struct frame *frame, uint32_t window);
/* A child was reaped. */
void commands_reaped(pid_t pid, int status, const struct rusage *usage);
/* Whether some command has a process that is not reaped. */
bool commands_alive(void);
/* Whether the host still waits for EXIT or FAILED of some command; what it has not read of its output does not count. */
bool commands_unfinished(void);
/* Kills the first process of a command, which may not carry its number yet, and its group. Returns whether there is none and
 * the host has been told of its end. */
bool command_end(uint32_t id);
/* When the guest is not process 1: kills the process group of each command. */
void commands_kill(void);

/* One step in the life of a command whose request is complete. */
bool command_step(struct operation *operation);

#endif
