/* Reads a tar stream in whatever pieces it arrives and places its entries. File bodies go from the piece to the file. */
#ifndef UNTAR_H
#define UNTAR_H

#include <stdbool.h>
#include <stddef.h>

#include "place.h"
#include "protocol.h"
#include "tar.h"

enum untar_state {
	UNTAR_HEADER,
	UNTAR_META, /* the body of a pax or long-name entry */
	UNTAR_BODY,
	UNTAR_SKIP, /* the body of an entry that is left out */
	UNTAR_PADDING,
	UNTAR_SECOND_ZERO,
	UNTAR_END,
};

enum {
	UNTAR_META_BYTES = 64 * 1024,
	/* Room for one byte more than is allowed, so that a longer path, cut, is still seen to be too long. */
	UNTAR_PATH_BYTES = MAX_PATH + 2,
};

struct untar {
	enum untar_state state;
	struct place *place;
	uint64_t left; /* bytes of META, BODY or SKIP still to come */
	size_t padding;
	size_t have; /* bytes of `header` so far, when it arrives in pieces */
	uint8_t header[TAR_BLOCK];
	char meta_type;
	size_t meta_length;
	char *meta;
	/* What an extended header said about the next entry. */
	bool has_path, has_target, has_size, has_mtime, has_pax, unsupported;
	uint64_t size;
	int64_t mtime;
	char path[UNTAR_PATH_BYTES];
	char target[UNTAR_PATH_BYTES];
};

enum untar_outcome {
	UNTAR_FINE,   /* the whole piece was consumed */
	UNTAR_NOTE,   /* the entry of `path` was left out because of `error` */
	UNTAR_BROKEN, /* the stream is malformed */
	UNTAR_FULL,   /* the disk is full, at `path` */
};

struct untar_result {
	enum untar_outcome outcome;
	int error;
	const char *path;
};

/* Consumes bytes until they are used up or there is something to tell. Returns how many were consumed. */
size_t untar_feed(struct untar *untar, const uint8_t *bytes, size_t length, struct untar_result *result);
void untar_close(struct untar *untar);

/* Parses the records of a pax header into `untar`. Returns false when they are malformed. */
bool pax_parse(struct untar *untar, const char *records, size_t length);

#endif
