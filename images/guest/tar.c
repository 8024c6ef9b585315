#include "tar.h"

#include <stdio.h>
#include <string.h>

static void put_octal(char *field, size_t length, uint64_t value)
{
	field[--length] = 0;
	while (length > 0) {
		field[--length] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

/* Copies what fits: the rest stands in the pax header before. */
static void put_name(char *field, size_t length, const char *name)
{
	memcpy(field, name, strnlen(name, length));
}

static void put_header(uint8_t *block, char type, const struct tar_entry *entry)
{
	struct tar_header header;
	uint32_t sum = 0;
	memset(&header, 0, sizeof header);
	put_name(header.name, sizeof header.name, entry->path);
	put_name(header.target, sizeof header.target, entry->target);
	put_octal(header.mode, sizeof header.mode, entry->mode);
	put_octal(header.uid, sizeof header.uid, 0);
	put_octal(header.gid, sizeof header.gid, 0);
	put_octal(header.size, sizeof header.size, entry->size);
	put_octal(header.mtime, sizeof header.mtime, entry->mtime);
	header.type = type;
	memcpy(header.magic, "ustar", sizeof header.magic);
	memcpy(header.version, "00", sizeof header.version);
	memset(header.checksum, ' ', sizeof header.checksum);
	memcpy(block, &header, TAR_BLOCK);
	for (size_t at = 0; at < TAR_BLOCK; at++)
		sum += block[at];
	put_octal(header.checksum, sizeof header.checksum - 1, sum);
	memcpy(block, &header, TAR_BLOCK);
}

/* "length key=value\n", where the length counts its own digits. */
static size_t put_record(char *into, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3;
	size_t total = rest + 1;
	size_t digits = 1;
	for (size_t power = 10; total >= power; power *= 10) {
		digits++;
		total = rest + digits;
	}
	int written = sprintf(into, "%zu %s=%s\n", total, key, value);
	return written < 0 ? 0 : (size_t)written;
}

size_t tar_write_header(uint8_t *into, const struct tar_entry *entry)
{
	/* Two records of at most MAX_PATH bytes each and their keys. */
	char records[2 * (TAR_MAX_NAME + 32)];
	size_t length = 0;
	size_t at = 0;
	if (strlen(entry->path) > sizeof ((struct tar_header *)0)->name)
		length += put_record(records, "path", entry->path);
	if (strlen(entry->target) > sizeof ((struct tar_header *)0)->target)
		length += put_record(records + length, "linkpath", entry->target);
	if (length > TAR_MAX_RECORDS)
		return 0;
	if (length > 0) {
		struct tar_entry extended = { .path = "PaxHeader", .target = "", .mode = 0644, .size = length };
		size_t padded = (length + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
		put_header(into, 'x', &extended);
		memcpy(into + TAR_BLOCK, records, length);
		memset(into + TAR_BLOCK + length, 0, padded - length);
		at = TAR_BLOCK + padded;
	}
	put_header(into + at, entry->type, entry);
	return at + TAR_BLOCK;
}

bool tar_number(const char *field, size_t length, uint64_t *value)
{
	size_t at = 0;
	*value = 0;
	if ((uint8_t)field[0] == 0x80) {
		for (at = 1; at < length; at++) {
			if (*value >> 55 != 0)
				return false;
			*value = *value << 8 | (uint8_t)field[at];
		}
		return true;
	}
	while (at < length && field[at] == ' ')
		at++;
	for (; at < length && field[at] >= '0' && field[at] <= '7'; at++)
		*value = *value << 3 | (uint64_t)(field[at] - '0');
	return at == length || field[at] == 0 || field[at] == ' ';
}

bool tar_checksum_fits(const uint8_t *block)
{
	const struct tar_header *header = (const struct tar_header *)block;
	uint64_t announced;
	uint64_t sum = 8 * ' ';
	for (size_t at = 0; at < TAR_BLOCK; at++)
		sum += block[at];
	for (size_t at = 0; at < sizeof header->checksum; at++)
		sum -= (uint8_t)header->checksum[at];
	return tar_number(header->checksum, sizeof header->checksum, &announced) && announced == sum;
}
