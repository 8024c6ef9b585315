/* The layout of a POSIX tar header, for the reader and the writer. */
#ifndef TAR_H
#define TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TAR_BLOCK = 512,
	TAR_MAX_NAME = 4096,    /* of a path or link target that is written */
	TAR_MAX_RECORDS = 8192, /* of an extended header that is written */
	TAR_MAX_HEADER = TAR_BLOCK + TAR_MAX_RECORDS + TAR_BLOCK,
};

/* What fits into the eleven octal digits of a size or time. */
static const uint64_t TAR_MAX_NUMBER = ((uint64_t)1 << 33) - 1;

struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[100];
	char magic[6];
	char version[2];
	char owner[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char rest[12];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header fills its block");

struct tar_entry {
	char type;
	const char *path;
	const char *target; /* of a symbolic link, else empty */
	unsigned int mode;
	uint64_t size;
	uint64_t mtime;
};

/* Writes the blocks before an entry's body, at most TAR_MAX_HEADER bytes. Returns their length, or 0 when the names
 * are too long together. */
size_t tar_write_header(uint8_t *into, const struct tar_entry *entry);

/* Parses a numeric field: octal digits, or base 256. Returns false when it is neither, or negative. */
bool tar_number(const char *field, size_t length, uint64_t *value);
bool tar_checksum_fits(const uint8_t *block);

#endif
