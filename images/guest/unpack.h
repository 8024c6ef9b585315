/* UNPACK: a tar stream from the host becomes files. */
#ifndef UNPACK_H
#define UNPACK_H

#include "operation.h"

void unpack_open(const struct frame *frame);
void unpack_frame(struct operation *operation, const struct frame *frame);

#endif
