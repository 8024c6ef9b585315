/* Visits files: each path of a list and, for directories, everything below. Nothing is followed. */
#ifndef WALK_H
#define WALK_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "protocol.h"

enum { WALK_DEPTH = 128 };

struct walk_level {
	DIR *directory;
	size_t path_length; /* of its own path */
};

struct walk {
	int root;
	char *list; /* a string list */
	size_t list_length;
	size_t list_at;
	int depth;
	struct walk_level levels[WALK_DEPTH];
	char path[MAX_PATH + 1];
	/* What was found. */
	struct stat status;
	int file; /* of a regular file, open; the caller closes it */
	char target[MAX_PATH + 1];
};

enum walk_outcome { WALK_ENTRY, WALK_LEFT_OUT, WALK_NOTHING, WALK_END };

/* Takes the list over. Returns 0 or an errno. */
int walk_open(struct walk *walk, const char *directory, char *list, size_t length);
/* One look at the next thing. WALK_LEFT_OUT: `path` could not be visited because of `error`. WALK_NOTHING: go on. */
enum walk_outcome walk_next(struct walk *walk, int *error);
void walk_close(struct walk *walk);

#endif
