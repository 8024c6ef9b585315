/* Which signals reach the guest: SIGCHLD, and nothing that the task sends. */
#ifndef SIGNALS_H
#define SIGNALS_H

/* Returns a descriptor that reads SIGCHLD, or -1 and errno. */
int signals_take_over(void);
/* In a child: everything back to its default. Returns 0, or -1 and errno. */
int signals_restore(void);

#endif
