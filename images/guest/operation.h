/* What is under way: commands, unpacks, packs and connections, found by stream id, and the queue of those
 * that can go on. */
#ifndef OPERATION_H
#define OPERATION_H

#include <stdbool.h>

#include "frame.h"

enum operation_kind { COMMAND, UNPACKING, PACKING, LISTENER, CONNECTED };

struct operation {
	enum operation_kind kind;
	uint32_t id;
	bool listed;
	bool queued;
	struct operation *next_listed;
	struct operation *next_queued;
	/* One bounded piece of work. Returns whether more can be done without a new event. Never called after
	 * it set `over`, when the operation is freed. */
	bool (*step)(struct operation *operation);
	void (*release)(struct operation *operation);
	bool over;
};

void operation_list(struct operation *operation);
/* The id is ended for the host: later frames for it are ignored. */
void operation_unlist(struct operation *operation);
/* The operation of a stream id; a command also answers to its id plus one. */
struct operation *operation_find(uint32_t stream);
/* Asks for a step. */
void operation_wake(struct operation *operation);
bool operations_waiting(void);
/* Gives each waiting operation one step, as long as there is room for what it may say. */
void operations_run(void);

#endif
