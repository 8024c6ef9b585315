/* Where a path leads below one directory, walking down one component at a time and never through a symbolic link. */
#ifndef SPOT_H
#define SPOT_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol.h"

struct spots {
	int root;
	/* The directory that was used last, because the next path is most likely its neighbour. */
	int parent;
	size_t parent_length;
	char parent_path[MAX_PATH + 1];
};

struct spot {
	char path[MAX_PATH + 1]; /* clean */
	const char *name;        /* its last component, empty for the directory itself */
	int parent;
};

/* Returns 0 or an errno. */
int spots_open(struct spots *spots, const char *directory);
/* Finds, or with `make` makes, the directory that holds a path. `spot->parent` is good until the next call. Returns 0
 * or an errno. */
int spot_find(struct spots *spots, const char *path, bool make, struct spot *spot);
void spots_close(struct spots *spots);

#endif
