/* Feeds a fuzz target mutations of its seeds, always the same ones: fuzz COUNT SECONDS. A compiler with
 * -fsanitize=fuzzer needs no driver. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "fuzz.h"

enum { MOST_BYTES = 256 * 1024, MOST_SEEDS = 32, EXIT_USAGE = 64 };

static uint8_t seeds[MOST_SEEDS][MOST_BYTES];
static size_t lengths[MOST_SEEDS];
static size_t seed_count;
static uint64_t state = 88172645463325252;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static void insert(uint8_t *bytes, size_t *length, const uint8_t *piece, size_t count)
{
	size_t at = draw(*length + 1);
	if (*length + count > MOST_BYTES)
		return;
	memmove(bytes + at + count, bytes + at, *length - at);
	memcpy(bytes + at, piece, count);
	*length += count;
}

static void mutate(uint8_t *bytes, size_t *length)
{
	static const uint8_t telling[] = { 0, 1, 4, 0x7f, 0x80, 0xff, ' ', '/', '.', '0', '7', '8', 'x', 'L' };
	uint8_t piece[600];
	size_t at = *length == 0 ? 0 : draw(*length);
	switch (*length == 0 ? 3 : draw(6)) {
	case 0:
		bytes[at] ^= (uint8_t)(1 << draw(8));
		break;
	case 1:
		bytes[at] = telling[draw(sizeof telling)];
		break;
	case 2: {
		size_t count = draw(draw(2) ? 16 : 1024);
		count = count < *length - at ? count : *length - at;
		memmove(bytes + at, bytes + at + count, *length - at - count);
		*length -= count;
		break;
	}
	case 3: {
		const size_t other = draw(seed_count);
		size_t from = draw(lengths[other]);
		size_t count = draw(sizeof piece);
		count = count < lengths[other] - from ? count : lengths[other] - from;
		memcpy(piece, seeds[other] + from, count);
		insert(bytes, length, piece, count);
		break;
	}
	case 4:
		piece[0] = (uint8_t)draw(256);
		insert(bytes, length, piece, 1);
		break;
	default:
		*length = at;
	}
}

int main(int argc, char **argv)
{
	static uint8_t bytes[MOST_BYTES];
	if (argc != 3 || getpid() == 1)
		return EXIT_USAGE;
	unsigned long count = strtoul(argv[1], NULL, 10);
	time_t until = time(NULL) + (time_t)strtoul(argv[2], NULL, 10);
	while (seed_count < MOST_SEEDS && (lengths[seed_count] = fuzz_seed(seed_count, seeds[seed_count], MOST_BYTES)) > 0)
		seed_count++;
	unsigned long done = 0;
	for (; done < count && time(NULL) < until; done++) {
		size_t seed = done % seed_count;
		size_t length = lengths[seed];
		memcpy(bytes, seeds[seed], length);
		for (uint64_t rounds = done < seed_count ? 0 : draw(8); rounds > 0; rounds--)
			mutate(bytes, &length);
		(void)LLVMFuzzerTestOneInput(bytes, length);
	}
	(void)printf("%lu inputs\n", done);
	return 0;
}
