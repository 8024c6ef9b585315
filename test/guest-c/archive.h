/* Builds tar archives, also ones that nobody should build. Independent of the guest's own writer. */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

struct archive {
	uint8_t *bytes;
	size_t length;
	size_t capacity;
};

/* A header block with a right checksum; returns it, so that a test can spoil it and call archive_seal again. */
uint8_t *archive_header(struct archive *archive, char type, const char *name, const char *target, size_t size);
void archive_seal(uint8_t *header);
/* A body and its padding. */
void archive_body(struct archive *archive, const void *bytes, size_t length);
/* A whole regular file. */
void archive_file(struct archive *archive, const char *name, const char *body);
/* An extended header with one record, whose value may hold any byte. */
void archive_pax(struct archive *archive, const char *key, const char *value, size_t length);
/* A GNU long name ('L') or long link ('K'). */
void archive_long(struct archive *archive, char type, const char *name);
void archive_end(struct archive *archive);
void archive_free(struct archive *archive);

#endif
