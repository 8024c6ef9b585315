/* What a command is to be: collected from EXEC_BODY frames, completed by EXEC. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>

#include "frame.h"

struct request {
	uint8_t *body;
	size_t length;
	size_t capacity;
	int error;      /* memory ran out while collecting */
	char **strings; /* argv, NULL, environment, NULL */
	char *directory;
	char **argv;
	char **envp;
	bool terminal;
	bool has_stdin;
	uint16_t rows;
	uint16_t columns;
};

void request_append(struct request *request, const struct frame *frame);
/* Takes EXEC and finds the strings. Returns 0 or ENOMEM. */
int request_complete(struct request *request, const struct frame *frame);
/* Frees the strings; the flags stay. */
void request_free(struct request *request);

#endif
