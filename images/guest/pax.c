/* Extended headers (POSIX.1-2017, pax, "pax Extended Header"): records of "length key=value\n". */
#include <errno.h>
#include <string.h>

#include "untar.h"

static bool digits(const char *text, size_t length, uint64_t *value)
{
	*value = 0;
	if (length == 0 || length > 18)
		return false;
	for (size_t at = 0; at < length; at++) {
		if (text[at] < '0' || text[at] > '9')
			return false;
		*value = *value * 10 + (uint64_t)(text[at] - '0');
	}
	return true;
}

/* Whole seconds; the fraction is dropped. */
static bool seconds(const char *text, size_t length, int64_t *value)
{
	uint64_t whole;
	const char *dot = memchr(text, '.', length);
	bool negative = length > 0 && *text == '-';
	const char *from = text + negative;
	const char *to = dot != NULL ? dot : text + length;
	if (to < from || !digits(from, (size_t)(to - from), &whole))
		return false;
	*value = negative ? -(int64_t)whole : (int64_t)whole;
	return true;
}

/* A value longer than any path is kept as one that is too long to use, and refused with its entry. */
static bool text_value(char *into, bool *has, const char *value, size_t length)
{
	if (length == 0 || memchr(value, 0, length) != NULL)
		return false;
	size_t kept = length < UNTAR_PATH_BYTES ? length : UNTAR_PATH_BYTES - 1;
	memcpy(into, value, kept);
	into[kept] = 0;
	*has = true;
	return true;
}

static bool is_key(const char *key, size_t length, const char *name)
{
	return length == strlen(name) && memcmp(key, name, length) == 0;
}

static bool take_record(struct untar *untar, const char *key, size_t key_length, const char *value, size_t length)
{
	if (is_key(key, key_length, "path"))
		return text_value(untar->path, &untar->has_path, value, length);
	if (is_key(key, key_length, "linkpath"))
		return text_value(untar->target, &untar->has_target, value, length);
	if (is_key(key, key_length, "mtime"))
		return untar->has_mtime = seconds(value, length, &untar->mtime);
	if (is_key(key, key_length, "size"))
		return untar->has_size = digits(value, length, &untar->size);
	/* The body of a sparse file is not the file. */
	if (key_length >= 11 && memcmp(key, "GNU.sparse.", 11) == 0)
		untar->unsupported = true;
	return true;
}

bool pax_parse(struct untar *untar, const char *records, size_t length)
{
	while (length > 0) {
		uint64_t record;
		const char *space = memchr(records, ' ', length);
		if (space == NULL || !digits(records, (size_t)(space - records), &record))
			return false;
		size_t prefix = (size_t)(space - records) + 1;
		if (record > length || record < prefix + 2 || records[record - 1] != '\n')
			return false;
		const char *key = records + prefix;
		size_t rest = (size_t)record - prefix - 1;
		const char *equals = memchr(key, '=', rest);
		if (equals == NULL || equals == key)
			return false;
		size_t key_length = (size_t)(equals - key);
		if (!take_record(untar, key, key_length, equals + 1, rest - key_length - 1))
			return false;
		records += record;
		length -= (size_t)record;
	}
	return true;
}
