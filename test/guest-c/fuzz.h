/* What a fuzz target offers to its driver. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
/* Writes the seed of that index and returns its length, or returns 0 after the last. */
size_t fuzz_seed(size_t index, uint8_t *into, size_t size);

#endif
