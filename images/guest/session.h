/* The conversation with the host: the handshake, the control stream, and who gets which frame. */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>

#include "frame.h"
#include "loop.h"

void session_hello(void);
/* Takes one frame, which may end the process. */
void session_frame(const struct frame *frame);
/* Reads from the host and takes what has arrived, as long as there is room for the answers. */
void session_read(struct source *from_host);
/* Whether session_read stopped with frames in hand. */
bool session_paused(void);

#endif
