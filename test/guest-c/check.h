/* The smallest test harness that says what failed, and the guest's ends made observable. */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                    \
	do {                                                                                \
		if (!(condition)) {                                                         \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                            \
		}                                                                           \
	} while (0)

/* Where fault(), violation() and finish() return to. */
extern jmp_buf guest_ended;
extern const char *guest_last_words;

/* Whether a statement makes the guest end itself. */
#define ENDS(statement) (setjmp(guest_ended) != 0 ? true : ((statement), false))

#endif
