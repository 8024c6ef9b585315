/* PACK: files become a tar stream to the host. */
#ifndef PACK_H
#define PACK_H

#include "operation.h"

void pack_open(const struct frame *frame, uint32_t window);
void pack_frame(struct operation *operation, const struct frame *frame);

#endif
