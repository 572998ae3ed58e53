/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - sockets, clocks and pinning for the measuring programs.
 *
 * Ownership: a returned descriptor belongs to the caller. Nothing here
 * allocates.
 *
 * Threads: no state, safe from any thread.
 *
 * These programs measure the product and share no code with it. They have one
 * answer to a failing system call: say which one, and exit with status 1.
 */
#pragma once

#include <stdint.h>

/* Prints 'what' and the text of 'err' (a positive errno; 0: none), exits. */
__attribute__((noreturn)) void net_die(const char *what, int err);

/* Decimal option value in [min, max], or exits with status 2. */
long net_number(const char *name, const char *text, long min, long max);

/* A listening, non-blocking TCP socket on 127.0.0.1; port 0: any free one. */
int net_listen(uint16_t port);

/* The port that a bound socket got. */
uint16_t net_port(int fd);

/* A connected TCP socket with TCP_NODELAY to 127.0.0.1, still blocking. */
int net_connect(uint16_t port);

void net_nodelay(int fd);
void net_nonblock(int fd);

/* Pins the calling thread; a machine without that CPU is left as it is. */
void net_pin(int cpu);

/* As many descriptors as the hard limit grants; returns that number. */
long net_raise_files(void);

uint64_t net_now_ns(void);

/* CPU time of the whole process, its io-wq threads included. */
uint64_t net_cpu_ns(void);
