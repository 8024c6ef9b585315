/* Whose a process is: each command's number is in the resource limits of all its processes, which they inherit and
 * can't undo. docs/decisions/marks.md has the argument. */
#ifndef MARK_H
#define MARK_H

#include <stdbool.h>
#include <stdint.h>

struct marked {
	unsigned int count;
	uint64_t sum;  /* of their ids: with the count, as good as their names */
	unsigned int missed; /* were on the list, and gone before they could be judged */
};

/* Chooses what the kernel lets us carry numbers in. Returns 0, or the errno of the list of processes. */
int marks_open(void);
/* Between fork and execve. `number` is at most MAX_STREAM. Returns 0 or an errno. */
int mark_self(uint32_t number);
/* Sends a signal to all processes that may be of the command `number`, in one bounded pass. */
struct marked mark_signal(uint32_t number, int signal);

#endif
