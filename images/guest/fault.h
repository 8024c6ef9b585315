/* The ways in which the guest itself ends. */
#ifndef FAULT_H
#define FAULT_H

/* Kills everything, sends FAULT if the host still listens, and exits with 70. */
_Noreturn void fault(int error, const char *text);
/* The host broke a rule of docs/protocol.md. */
_Noreturn void violation(const char *text);
/* The pipe is over: kills everything and exits with 0. */
_Noreturn void finish(void);

#endif
