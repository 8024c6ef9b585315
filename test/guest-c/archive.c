#include "archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { BLOCK = 512 };

static uint8_t *grow(struct archive *archive, size_t length)
{
	if (archive->length + length > archive->capacity) {
		archive->capacity = (archive->length + length) * 2;
		archive->bytes = realloc(archive->bytes, archive->capacity);
		CHECK(archive->bytes != NULL);
	}
	uint8_t *at = archive->bytes + archive->length;
	memset(at, 0, length);
	archive->length += length;
	return at;
}

void archive_seal(uint8_t *header)
{
	unsigned int sum = 0;
	memset(header + 148, ' ', 8);
	for (int at = 0; at < BLOCK; at++)
		sum += header[at];
	(void)snprintf((char *)header + 148, 8, "%06o", sum);
}

uint8_t *archive_header(struct archive *archive, char type, const char *name, const char *target, size_t size)
{
	uint8_t *header = grow(archive, BLOCK);
	memcpy(header, name, strnlen(name, 100));
	memcpy(header + 157, target, strnlen(target, 100));
	(void)snprintf((char *)header + 100, 8, "%07o", type == '5' ? 0755u : 0644u);
	(void)snprintf((char *)header + 124, 12, "%011zo", size);
	(void)snprintf((char *)header + 136, 12, "%011o", 1700000000u);
	header[156] = (uint8_t)type;
	memcpy(header + 257, "ustar\0" "00", 8);
	archive_seal(header);
	return header;
}

void archive_body(struct archive *archive, const void *bytes, size_t length)
{
	uint8_t *at = grow(archive, (length + BLOCK - 1) / BLOCK * BLOCK);
	if (length > 0)
		memcpy(at, bytes, length);
}

void archive_file(struct archive *archive, const char *name, const char *body)
{
	archive_header(archive, '0', name, "", strlen(body));
	archive_body(archive, body, strlen(body));
}

void archive_pax(struct archive *archive, const char *key, const char *value, size_t length)
{
	size_t total = strlen(key) + length + 3;
	size_t with_digits = total + 1;
	while (with_digits != total + (size_t)snprintf(NULL, 0, "%zu", with_digits))
		with_digits = total + (size_t)snprintf(NULL, 0, "%zu", with_digits);
	char *record = malloc(with_digits + 1);
	CHECK(record != NULL);
	int prefix = snprintf(record, with_digits, "%zu %s=", with_digits, key);
	memcpy(record + prefix, value, length);
	record[with_digits - 1] = '\n';
	archive_header(archive, 'x', "PaxHeader", "", with_digits);
	archive_body(archive, record, with_digits);
	free(record);
}

void archive_long(struct archive *archive, char type, const char *name)
{
	uint8_t *header = archive_header(archive, type, "././@LongLink", "", strlen(name) + 1);
	memcpy(header + 257, "ustar  ", 8);
	archive_seal(header);
	archive_body(archive, name, strlen(name) + 1);
}

void archive_end(struct archive *archive)
{
	(void)grow(archive, 2 * BLOCK);
}

void archive_free(struct archive *archive)
{
	free(archive->bytes);
	*archive = (struct archive){ 0 };
}
