#include "untar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void broken(struct untar_result *result)
{
	result->outcome = UNTAR_BROKEN;
	result->error = EINVAL;
	result->path = "";
}

static size_t smaller(uint64_t left, size_t length)
{
	return left < length ? (size_t)left : length;
}

static size_t padding_of(uint64_t size)
{
	return (size_t)(-size % TAR_BLOCK);
}

/* An error of the current entry: a full disk ends everything, anything else only leaves the entry out. */
static void tell(struct untar *untar, int error, struct untar_result *result)
{
	if (error == 0)
		return;
	result->outcome = error == ENOSPC || error == EDQUOT ? UNTAR_FULL : UNTAR_NOTE;
	result->error = error;
	result->path = untar->path;
}

static void forget_entry(struct untar *untar)
{
	untar->has_path = untar->has_target = untar->has_size = untar->has_mtime = false;
	untar->has_pax = untar->unsupported = false;
}

/* Only POSIX headers have the prefix: in GNU's other things are at its place. */
static void take_names(struct untar *untar, const struct tar_header *header)
{
	size_t length = 0;
	if (!untar->has_path) {
		if (memcmp(header->magic, "ustar", sizeof header->magic) == 0 && header->prefix[0] != 0) {
			length = strnlen(header->prefix, sizeof header->prefix);
			memcpy(untar->path, header->prefix, length);
			untar->path[length++] = '/';
		}
		size_t name = strnlen(header->name, sizeof header->name);
		memcpy(untar->path + length, header->name, name);
		untar->path[length + name] = 0;
	}
	if (!untar->has_target) {
		length = strnlen(header->target, sizeof header->target);
		memcpy(untar->target, header->target, length);
		untar->target[length] = 0;
	}
}

static bool take_meta(struct untar *untar)
{
	const char *text = untar->meta;
	size_t length = untar->meta_length;
	if (untar->meta_type == 'x')
		return pax_parse(untar, text, length);
	/* GNU's names end with a NUL, and nothing else is in them. */
	size_t name = strnlen(text, length);
	char *into = untar->meta_type == 'L' ? untar->path : untar->target;
	if (name == 0 || length - name > 1)
		return false;
	size_t kept = smaller(name, UNTAR_PATH_BYTES - 1);
	memcpy(into, text, kept);
	into[kept] = 0;
	return true;
}

/* An extended header says everything once: repeated or contradicting ones are read differently by every reader. */
static bool open_meta(struct untar *untar, char type, uint64_t size)
{
	bool *seen = type == 'x' ? &untar->has_pax : type == 'L' ? &untar->has_path : &untar->has_target;
	if (*seen || size == 0 || size > UNTAR_META_BYTES || (type != 'x' && untar->has_pax))
		return false;
	if (type == 'x' && (untar->has_path || untar->has_target))
		return false;
	if (untar->meta == NULL)
		untar->meta = malloc(UNTAR_META_BYTES);
	if (untar->meta == NULL)
		return false;
	*seen = true;
	untar->state = UNTAR_META;
	untar->meta_type = type;
	untar->meta_length = 0;
	return true;
}

static int place_entry(struct untar *untar, char type, unsigned int mode)
{
	if (untar->unsupported)
		return EOPNOTSUPP;
	switch (type) {
	case '0':
	case 0:
	case '7':
		return place_file(untar->place, untar->path, mode);
	case '5':
		return place_directory(untar->place, untar->path, mode, untar->mtime);
	case '2':
		return place_symlink(untar->place, untar->path, untar->target, untar->mtime);
	default: /* hard links, devices, FIFOs, and what nobody has heard of */
		return EOPNOTSUPP;
	}
}

static bool begin_entry(struct untar *untar, const struct tar_header *header, struct untar_result *result)
{
	uint64_t mode;
	uint64_t mtime;
	bool file = header->type == '0' || header->type == 0 || header->type == '7';
	if (!tar_number(header->mode, sizeof header->mode, &mode) || !tar_number(header->mtime, sizeof header->mtime, &mtime))
		return false;
	if (header->type == 'S' || (header->type >= '1' && header->type <= '6' && untar->left != 0))
		return false; /* whether a body follows such an entry is a matter of opinion */
	if (!untar->has_mtime)
		untar->mtime = (int64_t)(mtime & INT64_MAX);
	take_names(untar, header);
	int error = place_entry(untar, header->type, (unsigned int)mode & 0777);
	tell(untar, error, result);
	untar->state = error != 0 || !file ? UNTAR_SKIP : UNTAR_BODY;
	return true;
}

static void end_body(struct untar *untar, struct untar_result *result)
{
	if (untar->state == UNTAR_BODY)
		tell(untar, place_finish(untar->place, untar->mtime), result);
	if (untar->state != UNTAR_META)
		forget_entry(untar);
	else if (!take_meta(untar))
		broken(result);
	untar->state = UNTAR_PADDING;
}

static bool take_header(struct untar *untar, const uint8_t *block, struct untar_result *result)
{
	static const uint8_t zero[TAR_BLOCK];
	const struct tar_header *header = (const struct tar_header *)block;
	bool is_zero = block[0] == 0 && memcmp(block, zero, TAR_BLOCK) == 0;
	bool expects_entry = untar->has_path || untar->has_target || untar->has_pax;
	if (untar->state == UNTAR_SECOND_ZERO || is_zero) {
		untar->state = untar->state == UNTAR_SECOND_ZERO ? UNTAR_END : UNTAR_SECOND_ZERO;
		return is_zero && !expects_entry;
	}
	if (!tar_checksum_fits(block) || !tar_number(header->size, sizeof header->size, &untar->left))
		return false;
	if (header->type == 'x' || header->type == 'L' || header->type == 'K') {
		untar->padding = padding_of(untar->left);
		return open_meta(untar, header->type, untar->left);
	}
	if (header->type == 'g') { /* comments of git, and defaults that no entry of ours needs */
		untar->padding = padding_of(untar->left);
		untar->state = UNTAR_SKIP;
		if (untar->left == 0)
			end_body(untar, result);
		return !expects_entry;
	}
	if (untar->has_size)
		untar->left = untar->size;
	untar->padding = padding_of(untar->left);
	if (!begin_entry(untar, header, result))
		return false;
	if (untar->left == 0)
		end_body(untar, result);
	return true;
}

static size_t feed_header(struct untar *untar, const uint8_t *bytes, size_t length, struct untar_result *result)
{
	const uint8_t *block = bytes;
	size_t count = TAR_BLOCK - untar->have;
	if (untar->have > 0 || length < TAR_BLOCK) {
		count = smaller(count, length);
		memcpy(untar->header + untar->have, bytes, count);
		untar->have += count;
		block = untar->header;
		if (untar->have < TAR_BLOCK)
			return count;
	}
	untar->have = 0;
	if (!take_header(untar, block, result))
		broken(result);
	return count;
}

static size_t feed_body(struct untar *untar, const uint8_t *bytes, size_t length, struct untar_result *result)
{
	size_t count = smaller(untar->left, length);
	if (untar->state == UNTAR_BODY) {
		int error = place_write(untar->place, bytes, count);
		tell(untar, error, result);
		if (error != 0)
			untar->state = UNTAR_SKIP;
	} else if (untar->state == UNTAR_META) {
		memcpy(untar->meta + untar->meta_length, bytes, count);
		untar->meta_length += count;
	}
	untar->left -= count;
	if (untar->left == 0)
		end_body(untar, result);
	return count;
}

size_t untar_feed(struct untar *untar, const uint8_t *bytes, size_t length, struct untar_result *result)
{
	size_t done = 0;
	result->outcome = UNTAR_FINE;
	while (done < length && result->outcome == UNTAR_FINE) {
		size_t count;
		if (untar->state == UNTAR_END) {
			return length;
		} else if (untar->state == UNTAR_HEADER || untar->state == UNTAR_SECOND_ZERO) {
			count = feed_header(untar, bytes + done, length - done, result);
		} else if (untar->state == UNTAR_PADDING) {
			count = smaller(untar->padding, length - done);
			untar->padding -= count;
		} else {
			count = feed_body(untar, bytes + done, length - done, result);
		}
		if (untar->state == UNTAR_PADDING && untar->padding == 0)
			untar->state = UNTAR_HEADER;
		done += count;
	}
	return done;
}

void untar_close(struct untar *untar)
{
	free(untar->meta);
	untar->meta = NULL;
}
