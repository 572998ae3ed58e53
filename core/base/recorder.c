/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything reachable from the signal handler is async-signal-safe: static
 * tables, struct writer on the stack, write(2), and nothing that locks.
 */
#include "core/base/recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "core/base/writer.h"

#define SIGNAL_STACK_SIZE 65536u

static const struct {
	int number;
	struct slice name;
} deadly[] = {
	{ SIGILL, SLICE_INIT("SIGILL") },   { SIGTRAP, SLICE_INIT("SIGTRAP") },
	{ SIGSEGV, SLICE_INIT("SIGSEGV") }, { SIGBUS, SLICE_INIT("SIGBUS") },
	{ SIGFPE, SLICE_INIT("SIGFPE") },   { SIGABRT, SLICE_INIT("SIGABRT") },
};

static const struct {
	struct slice name, a, b, c;
} rows[RECORDER_N_IDS] = {
#define X(id, name_, a_, b_, c_)                                                                   \
	[RECORDER_##id] = { SLICE_INIT(name_), SLICE_INIT(a_), SLICE_INIT(b_), SLICE_INIT(c_) },
#include "core/base/recorder.def"
#undef X
};

/* One process, one crash: what the handler needs cannot be handed to it. */
static struct {
	_Atomic int fd;
	const char *build;
	_Atomic(struct recorder *) attached[RECORDER_MAX];
	atomic_flag dumped;
} crash = { .fd = -1, .dumped = ATOMIC_FLAG_INIT };

static _Thread_local struct recorder *own;
static _Thread_local void *own_stack;

static void put_out(struct writer *w, int fd)
{
	struct slice rest = writer_slice(w);

	while (rest.len > 0) {
		ssize_t n = write(fd, rest.ptr, rest.len);

		if (n <= 0)
			break; /* A dump that cannot be written is no reason to hang. */
		rest = slice_drop(rest, (size_t)n);
	}
	*w = writer_make(w->start, (size_t)(w->end - w->start));
}

static void put_value(struct writer *w, struct slice name, uint64_t value, bool hex)
{
	if (name.len == 0)
		return;
	writer_char(w, ' ');
	writer_put(w, name);
	writer_put(w, hex ? SLICE("=0x") : SLICE("="));
	if (hex)
		writer_hex(w, value);
	else
		writer_i64(w, (int64_t)value);
}

static void put_event(struct writer *w, const struct recorder_event *e)
{
	writer_u64(w, e->at_ns);
	writer_char(w, ' ');
	if (e->id >= RECORDER_N_IDS) { /* Torn by its writer, or memory gone bad. */
		writer_lit(w, "?\n");
		return;
	}
	writer_put(w, rows[e->id].name);
	put_value(w, rows[e->id].a, (uint64_t)(int32_t)e->a, false);
	put_value(w, rows[e->id].b, e->b, false);
	put_value(w, rows[e->id].c, e->c, true);
	writer_char(w, '\n');
}

void recorder_dump(const struct recorder *r, int fd)
{
	char text[4096];
	struct writer w = writer_make(text, sizeof(text));
	uint64_t n = r->n < RECORDER_N_EVENTS ? r->n : RECORDER_N_EVENTS;

	writer_lit(&w, "recorder worker=");
	writer_i64(&w, (int32_t)r->worker);
	writer_lit(&w, " events=");
	writer_u64(&w, r->n);
	writer_char(&w, '\n');
	for (uint64_t i = r->n - n; i < r->n; i++) {
		if (writer_room(&w) < 256)
			put_out(&w, fd);
		put_event(&w, &r->events[i & (RECORDER_N_EVENTS - 1)]);
	}
	put_out(&w, fd);
}

static struct slice signal_name(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		if (deadly[i].number == number)
			return deadly[i].name;
	}
	return SLICE("?");
}

static void dump_cause(int number, int fd)
{
	char text[1024];
	struct writer w = writer_make(text, sizeof(text));
	struct gw_assert_note note = gw_assert_last();

	writer_lit(&w, "crash signal=");
	writer_put(&w, signal_name(number));
	writer_lit(&w, " build=");
	writer_put(&w, slice_of(crash.build));
	writer_char(&w, '\n');
	if (note.file) {
		writer_lit(&w, "assert ");
		writer_put(&w, slice_take(slice_of(note.file), 200));
		writer_char(&w, ':');
		writer_i64(&w, note.line);
		writer_char(&w, ' ');
		writer_put(&w, slice_take(slice_of(note.what), 400));
		writer_char(&w, '\n');
	}
	put_out(&w, fd);
}

static void on_deadly_signal(int number, siginfo_t *cause, void *machine_state)
{
	int fd = atomic_load(&crash.fd);

	(void)machine_state; /* The core has it. */
	/* Of two threads that crash at once, the first tells. */
	if (!atomic_flag_test_and_set(&crash.dumped)) {
		dump_cause(number, fd);
		if (own)
			recorder_dump(own, fd);
		for (unsigned i = 0; i < RECORDER_MAX; i++) {
			struct recorder *r = atomic_load(&crash.attached[i]);

			if (r && r != own)
				recorder_dump(r, fd);
		}
	}
	/*
	 * SA_RESETHAND: next time the signal does what it always did. An
	 * instruction that trapped will do so again on return, and the core opens
	 * there; a signal that was sent, or a breakpoint, has to be sent again.
	 */
	if (cause->si_code <= 0 || number == SIGTRAP)
		(void)raise(number);
}

int recorder_install(int fd, const char *build)
{
	struct sigaction action = { .sa_sigaction = on_deadly_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND };

	GW_ASSERT(fd >= 0 && build && atomic_load(&crash.fd) < 0);
	crash.build = build;
	atomic_store(&crash.fd, fd);
	(void)sigemptyset(&action.sa_mask); /* Cannot fail. */
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		if (sigaction(deadly[i].number, &action, NULL) != 0)
			return -errno;
	}
	return 0;
}

static int install_stack(void)
{
	stack_t stack = { .ss_size = SIGNAL_STACK_SIZE };

	stack.ss_sp = mmap(NULL, SIGNAL_STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return -ENOMEM;
	GW_ASSERT(sigaltstack(&stack, NULL) == 0);
	own_stack = stack.ss_sp;
	return 0;
}

static void remove_stack(void)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	GW_ASSERT(sigaltstack(&none, NULL) == 0);
	GW_ASSERT(munmap(own_stack, SIGNAL_STACK_SIZE) == 0);
	own_stack = NULL;
}

static bool take_place(struct recorder *r)
{
	for (unsigned i = 0; i < RECORDER_MAX; i++) {
		struct recorder *none = NULL;

		if (atomic_compare_exchange_strong(&crash.attached[i], &none, r))
			return true;
	}
	return false;
}

int recorder_attach(struct recorder *r, uint32_t worker)
{
	int res;

	GW_ASSERT(!own);
	r->n = 0;
	r->worker = worker;
	res = install_stack();
	if (res < 0)
		return res;
	if (!take_place(r)) {
		remove_stack();
		return -ENOSPC;
	}
	own = r;
	return 0;
}

void recorder_detach(struct recorder *r)
{
	GW_ASSERT(own == r);
	for (unsigned i = 0; i < RECORDER_MAX; i++) {
		struct recorder *found = r;

		if (atomic_compare_exchange_strong(&crash.attached[i], &found, NULL))
			break;
	}
	own = NULL;
	remove_stack();
}
