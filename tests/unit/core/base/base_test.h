/* SPDX-License-Identifier: Apache-2.0 */
/* base_test.h - cmocka, and what the tests of core/base share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/slice.h"

#define assert_slice(got, want)                                                                    \
	do {                                                                                       \
		struct slice got_ = (got);                                                         \
		struct slice want_ = slice_of(want);                                               \
		if (!slice_eq(got_, want_))                                                        \
			fail_msg("got '%.*s', want '%s'", SLICE_ARG(got_), (want));                \
	} while (0)

/* Runs fn in a child and tells which signal ended it; 0 when it came back. */
__attribute__((unused)) static int signal_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit no_core = { 0, 0 };

		(void)setrlimit(RLIMIT_CORE, &no_core);
		for (int i = 1; i < 32; i++)
			(void)signal(i, SIG_DFL); /* cmocka catches the deadly ones. */
		fn();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#define assert_traps(fn) assert_int_equal(signal_of(fn), SIGILL)
