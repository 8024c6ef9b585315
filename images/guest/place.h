/* Makes directories, files and symbolic links below one directory and never outside it. */
#ifndef PLACE_H
#define PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "spot.h"

struct place {
	struct spots spots;
	int file; /* the file being written, -1: none */
	int file_parent; /* stays open: no other path is looked up while a file is written */
	char file_name[MAX_PATH + 1];
	/* Modes and times of directories, set when their contents are there. */
	uint8_t *unsettled;
	size_t unsettled_length;
};

/* All of these return 0 or an errno. Paths are as they stand in the archive. */
int place_open(struct place *place, const char *directory);
int place_directory(struct place *place, const char *path, unsigned int mode, int64_t mtime);
int place_symlink(struct place *place, const char *path, const char *target, int64_t mtime);
/* Begins a file: place_write as often as needed, then place_finish. When one of them fails, the file is removed. */
int place_file(struct place *place, const char *path, unsigned int mode);
int place_write(struct place *place, const uint8_t *bytes, size_t length);
int place_finish(struct place *place, int64_t mtime);
/* Sets what was put off for directories. */
void place_settle(struct place *place);
/* Also removes a file that is not finished. */
void place_close(struct place *place);

#endif
