#include "operation.h"

#include "output.h"

enum { BUCKETS = 256 };

static struct operation *buckets[BUCKETS];
static struct operation *queue_head;
static struct operation *queue_tail;

static struct operation **bucket_of(uint32_t id)
{
	/* Commands take two ids: without the shift every second bucket would stay empty. */
	return &buckets[(id >> 1) % BUCKETS];
}

void operation_list(struct operation *operation)
{
	struct operation **bucket = bucket_of(operation->id);
	operation->next_listed = *bucket;
	operation->listed = true;
	*bucket = operation;
}

void operation_unlist(struct operation *operation)
{
	struct operation **at = bucket_of(operation->id);
	if (!operation->listed)
		return;
	while (*at != operation)
		at = &(*at)->next_listed;
	*at = operation->next_listed;
	operation->listed = false;
}

static struct operation *find_exactly(uint32_t id)
{
	struct operation *at = *bucket_of(id);
	while (at != NULL && at->id != id)
		at = at->next_listed;
	return at;
}

struct operation *operation_find(uint32_t stream)
{
	struct operation *found = find_exactly(stream);
	if (found != NULL || stream == 0)
		return found;
	found = find_exactly(stream - 1);
	return found != NULL && found->kind == COMMAND ? found : NULL;
}

void operation_wake(struct operation *operation)
{
	if (operation->queued)
		return;
	operation->queued = true;
	operation->next_queued = NULL;
	if (queue_tail != NULL)
		queue_tail->next_queued = operation;
	else
		queue_head = operation;
	queue_tail = operation;
}

static struct operation *take_queued(void)
{
	struct operation *first = queue_head;
	queue_head = first->next_queued;
	if (queue_head == NULL)
		queue_tail = NULL;
	first->queued = false;
	return first;
}

bool operations_waiting(void)
{
	return queue_head != NULL;
}

void operations_run(void)
{
	struct operation *last = queue_tail;
	while (queue_head != NULL && output_room() >= STEP_ROOM) {
		struct operation *operation = take_queued();
		bool was_last = operation == last;
		bool more = operation->step(operation);
		if (operation->over) {
			operation_unlist(operation);
			operation->release(operation);
		} else if (more) {
			operation_wake(operation);
		}
		if (was_last)
			return;
	}
}
