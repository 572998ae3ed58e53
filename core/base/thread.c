/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "core/base/writer.h"

/* Raised by the thread's own doing. */
static const int deadly[] = { SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGSYS };

static void *run(void *arg)
{
	struct thread *t = arg;

	(void)pthread_setname_np(pthread_self(), t->name); /* Only for people. */
	if (t->cpu != THREAD_ANY_CPU)
		t->pin_result = thread_pin(t->cpu);
	t->fn(t->arg);
	return NULL;
}

int thread_start(struct thread *t, const char *name, int cpu, thread_fn *fn, void *arg)
{
	struct writer w = writer_make(t->name, sizeof(t->name) - 1);
	sigset_t all;
	sigset_t before;
	int r;

	*t = (struct thread){ .fn = fn, .arg = arg, .cpu = cpu };
	writer_put(&w, slice_take(slice_of(name), writer_room(&w)));

	/* Signals belong to the main thread, but a blocked trap would kill without a dump. */
	(void)sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		(void)sigdelset(&all, deadly[i]);
	GW_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	r = pthread_create(&t->handle, NULL, run, t);
	GW_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	return -r;
}

void thread_join(struct thread *t)
{
	GW_ASSERT(pthread_join(t->handle, NULL) == 0);
}

int thread_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : -errno;
}

uint32_t thread_cpus(int *ret_cpus, uint32_t max)
{
	cpu_set_t set;
	uint32_t n = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++) {
		if (CPU_ISSET(cpu, &set))
			ret_cpus[n++] = cpu;
	}
	return n;
}
