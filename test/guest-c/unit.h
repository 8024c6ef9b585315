#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>

/* The name of the function is the sentence. */
#define TEST(function)                       \
	do {                                 \
		function();                  \
		(void)puts("ok " #function); \
	} while (0)

void unit_wire(void);
void unit_tar(void);

#endif
