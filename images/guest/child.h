/* Between fork and execve. */
#ifndef CHILD_H
#define CHILD_H

#include "request.h"

struct child_ends {
	int in;
	int out;
	int err;
	int report;
};

/* Becomes the program of the command `number`, or reports why not and exits. */
_Noreturn void child_main(uint32_t number, const struct request *request, const struct child_ends *ends);

typedef int exec_function(const char *path, char *const argv[], char *const envp[]);

/* Tries `execute` on every place where argv[0] can be, as execvp does, but with the PATH of `envp` and without a
 * shell for files that have no format. Returns only on failure, with the errno to report. */
int search_and_execute(char *const argv[], char *const envp[], exec_function *execute);

#endif
