/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment.c - what the system grants, and what the capacities make of it.
 *
 * Descriptors are shared out first: most for pairs of a client and an upstream
 * connection, the rest for splice pipes, two each; some stay back for logs, the
 * control thread and its clients. Memory bounds what is left. All of these are
 * bounds of reservations that are touched only when used.
 */
#include "core/server/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/slice.h"
#include "core/base/writer.h"
#include "core/crypto/tls.h"
#include "core/server/options.h"
#include "ring/ring_buf.h"
#include "ring/ring_feature.h"
#include "ring/ring_pipe.h"

#define PAGE         4096u
#define RING_MEMLOCK (256u * 1024u) /* Of one ring of full size. */

enum {
	RESERVE_MIN = 32, /* Descriptors kept for the process itself. */
	RESERVE_MAX = 256,
	PAIRS_PERMILLE = 430, /* Of a worker's descriptors: clients, and as many upstreams. */
	CLIENTS_MAX = 262144, /* Per worker. */
	CLIENTS_FEW = 4096,   /* Fewer than this are warned of although nobody asked for more. */
	CLIENT_MEMORY =
		32 * 1024,    /* At the most, besides buffers, with its request and its upstream. */
	UPSTREAMS_MIN = 1024, /* Where descriptors allow: few clients may use many endpoints. */
	BUFS_MIN = 256,
	BUFS_MAX = 65536,
	FILES_SLACK = 16,
	CGROUP_DEPTH_MAX = 16,
	SOMAXCONN_GOOD = 4096,
};

/* Bits of CapEff. */
enum { CAPABILITY_IPC_LOCK = 14, CAPABILITY_SYS_ADMIN = 21, CAPABILITY_SYS_RESOURCE = 24 };

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- Reading. -------------------------------------------------------------------------------- */

/* The beginning of a small file; empty when it cannot be read. */
static struct slice read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return SLICE("");
	n = read(fd, text, size);
	close(fd);
	return slice_make(text, n > 0 ? (size_t)n : 0);
}

/* The number that a file holds, or 'absent'. */
static uint64_t read_number(const char *path, uint64_t absent)
{
	char text[32];
	struct slice line, rest;
	uint64_t value;

	slice_split(read_file(path, text, sizeof(text)), '\n', &line, &rest);
	return slice_to_u64(line, &value) == 0 ? value : absent;
}

/* The line of a file that begins so, without that; empty when there is none. */
static struct slice find_line(struct slice text, struct slice prefix)
{
	struct slice line;

	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		if (slice_starts_with(line, prefix))
			return slice_trim(slice_drop(line, prefix.len));
	}
	return SLICE("");
}

static bool is_capable(unsigned capability)
{
	char text[4096];
	struct slice status = read_file("/proc/self/status", text, sizeof(text));
	uint64_t bits;

	return slice_hex_to_u64(find_line(status, SLICE("CapEff:")), &bits) == 0 &&
	       bits >> capability & 1;
}

static uint64_t cgroup_limit(struct slice folder)
{
	char path[512];
	struct writer w = writer_make(path, sizeof(path) - 1);

	writer_lit(&w, "/sys/fs/cgroup");
	writer_put(&w, folder);
	writer_lit(&w, "/memory.max");
	if (w.overflow)
		return UINT64_MAX;
	*w.ptr = '\0';
	return read_number(path, UINT64_MAX);
}

/* The least of what our control group and those above it allow. */
static uint64_t cgroup_memory(void)
{
	char text[4096];
	struct slice folder =
		find_line(read_file("/proc/self/cgroup", text, sizeof(text)), SLICE("0::"));
	uint64_t limit = cgroup_limit(SLICE(""));

	for (unsigned i = 0; i < CGROUP_DEPTH_MAX && folder.len > 1; i++) {
		limit = least(limit, cgroup_limit(folder));
		folder = slice_take(folder, slice_find_last(folder, '/'));
	}
	return limit;
}

static uint64_t machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

static uint64_t raise_nofile(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024;
	if (limit.rlim_cur < limit.rlim_max) {
		rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			limit.rlim_cur = soft;
	}
	return limit.rlim_cur;
}

static uint64_t memlock(void)
{
	struct rlimit limit;

	if (is_capable(CAPABILITY_IPC_LOCK) || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

static uint64_t pipe_pages(void)
{
	uint64_t pages;

	if (is_capable(CAPABILITY_SYS_RESOURCE) || is_capable(CAPABILITY_SYS_ADMIN))
		return UINT64_MAX;
	pages = read_number("/proc/sys/fs/pipe-user-pages-soft", 16384);
	return pages == 0 ? UINT64_MAX : pages;
}

void environment_grant(struct environment_grant *ret_grant)
{
	*ret_grant = (struct environment_grant){
		.nofile = raise_nofile(),
		.memlock = memlock(),
		.memory = least(machine_memory(), cgroup_memory()),
		.pipe_pages = pipe_pages(),
	};
}

uint32_t environment_cpus(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else /* More CPUs than a cpu_set_t holds. */
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (uint32_t)n : 1;
}

/* --- Sharing out. ---------------------------------------------------------------------------- */

/* What a worker may have of each. */
struct share {
	uint64_t fds, memory, pipes, clients_wished;
	uint64_t client_memory; /* What one takes of it. */
};

static struct share share_of(const struct environment_wish *wish,
			     const struct environment_grant *grant)
{
	uint64_t reserve = least(most(grant->nofile / 4, RESERVE_MIN), RESERVE_MAX);
	uint64_t fds = grant->nofile > reserve ? grant->nofile - reserve : 0;
	uint64_t pipes = grant->pipe_pages / (RING_PIPE_SIZE / PAGE);

	fds /= wish->n_workers;
	return (struct share){
		.fds = fds > wish->n_listeners ? fds - wish->n_listeners : 0,
		.memory = grant->memory / 2 / wish->n_workers,
		.pipes = pipes / wish->n_workers,
		.client_memory = CLIENT_MEMORY +
				 (uint64_t)(wish->tls_clients + wish->tls_upstreams) * tls_memory(),
		.clients_wished =
			wish->clients / wish->n_workers + (wish->clients % wish->n_workers != 0),
	};
}

/* Accepting stops while fewer places than this are free (core/proxy/listener.c). */
static uint64_t gate_room(uint64_t clients)
{
	return 2 * (1 + clients / 64);
}

static void fill_capacity(const struct share *share, uint32_t n_listeners,
			  struct environment_capacity *ret)
{
	uint64_t clients =
		least(share->fds * PAIRS_PERMILLE / 1000, share->memory / share->client_memory);
	uint64_t upstreams, left, bufs;

	clients = least(clients, CLIENTS_MAX);
	if (share->clients_wished > 0)
		clients = least(clients, share->clients_wished);
	clients = most(clients, 1);
	upstreams = most(clients, least(UPSTREAMS_MIN, share->fds * PAIRS_PERMILLE / 1000));
	left = clients + upstreams + gate_room(clients);
	left = share->fds > left ? share->fds - left : 0;
	bufs = least(2 * clients + BUFS_MIN, share->memory / 4 / (RING_BUF_ROOM + RING_BUF_DATA));

	ret->clients = (uint32_t)clients;
	ret->upstreams = (uint32_t)upstreams;
	ret->files =
		(uint32_t)(clients + upstreams + gate_room(clients) + n_listeners + FILES_SLACK);
	ret->bufs = (uint32_t)least(most(bufs, BUFS_MIN), BUFS_MAX);
	ret->pipes = (uint32_t)most(least(left / 2, least(share->pipes, clients)), 1);
}

/* --- Warning. -------------------------------------------------------------------------------- */

static void put_cause(struct writer *w, const struct share *share,
		      const struct environment_grant *grant, uint32_t clients)
{
	if (clients == CLIENTS_MAX) {
		writer_lit(w, "start more workers");
	} else if (share->fds * PAIRS_PERMILLE / 1000 <= share->memory / share->client_memory) {
		writer_lit(w, "raise RLIMIT_NOFILE (now ");
		writer_u64(w, grant->nofile);
		writer_lit(w, ")");
	} else {
		writer_lit(w, "raise the memory limit (now ");
		writer_u64(w, grant->memory >> 20);
		writer_lit(w, " MiB)");
	}
}

static void warn_clients(struct writer *w, const struct environment_wish *wish,
			 const struct share *share, const struct environment_grant *grant,
			 uint32_t per_worker)
{
	uint64_t wanted = wish->clients ? wish->clients : CLIENTS_FEW;
	uint64_t clients = (uint64_t)per_worker * wish->n_workers;

	if (wanted <= clients)
		return;
	writer_u64(w, clients);
	writer_lit(w, " client connections at a time instead of ");
	writer_u64(w, wanted);
	writer_lit(w, ", more wait in the kernel's queue: ");
	put_cause(w, share, grant, per_worker);
}

static void warn_memlock(struct writer *w, const struct environment_wish *wish,
			 const struct environment_grant *grant)
{
	if (grant->memlock / RING_MEMLOCK >= (uint64_t)wish->n_workers + 1)
		return;
	if (writer_len(w) > 0)
		writer_lit(w, "; ");
	writer_lit(w, "smaller rings, more system calls: RLIMIT_MEMLOCK is ");
	writer_u64(w, grant->memlock / 1024);
	writer_lit(w, " KiB");
}

void environment_capacity(const struct environment_wish *wish,
			  const struct environment_grant *grant,
			  struct environment_capacity *ret_capacity)
{
	struct writer w = writer_make(ret_capacity->warning, sizeof(ret_capacity->warning) - 1);
	struct share share;

	GW_ASSERT(wish->n_workers > 0);
	share = share_of(wish, grant);
	fill_capacity(&share, wish->n_listeners, ret_capacity);
	warn_clients(&w, wish, &share, grant, ret_capacity->clients);
	warn_memlock(&w, wish, grant);
	GW_ASSERT(!w.overflow);
	*w.ptr = '\0';
}

/*
 * --- --check-env. ----------------------------------------------------------------------------
 *
 * A report for people: a line that is cut or cannot be written is no reason to do otherwise.
 */

static void say(FILE *to, const char *what, const char *state, const char *text)
{
	(void)fprintf(to, "%-28s %-4s %s\n", what, state, text);
}

static void say_number(FILE *to, const char *what, bool good, uint64_t value, const char *text)
{
	char number[WRITER_U64_MAX + 1];
	struct writer w = writer_make(number, WRITER_U64_MAX);

	if (value == UINT64_MAX)
		writer_lit(&w, "unlimited");
	else
		writer_u64(&w, value);
	*w.ptr = '\0';
	(void)fprintf(to, "%-28s %-4s %s%s\n", what, good ? "ok" : "low", number, text);
}

static void check_kernel(FILE *to, int probed)
{
	struct utsname name = { .release = "?" };
	char text[160];

	(void)uname(&name);
	(void)snprintf(text, sizeof(text), "Linux %.64s; 6.1 or newer is needed", name.release);
	say(to, "kernel", probed == -ENOTSUP ? "off" : "ok", text);
}

static void check_uring(FILE *to, int probed, const struct ring_probe *probe)
{
	static const struct {
		const char *name, *since, *without;
	} features[] = {
#define X(name_, since_, without_) { #name_, since_, without_ },
		RING_FEATURES(X)
#undef X
	};
	char what[64], text[160];

	say(to, "io_uring", probed == 0 ? "ok" : "off", probe->line);
	for (size_t i = 0; probed == 0 && i < ARRAY_SIZE(features); i++) {
		bool there = probe->features >> i & 1;

		(void)snprintf(what, sizeof(what), "io_uring %s", features[i].name);
		(void)snprintf(text, sizeof(text), "Linux %s; without it, %s", features[i].since,
			       features[i].without);
		say(to, what, there ? "on" : "off", text);
	}
}

static void check_sysctls(FILE *to)
{
	uint64_t disabled = read_number("/proc/sys/kernel/io_uring_disabled", 0);
	uint64_t backlog = read_number("/proc/sys/net/core/somaxconn", SOMAXCONN_GOOD);

	say(to, "kernel.io_uring_disabled", disabled == 0 ? "ok" : "off",
	    disabled == 0   ? "0"
	    : disabled == 1 ? "1: only for the group in kernel.io_uring_group"
			    : "2: io_uring is refused to everybody");
	say_number(to, "net.core.somaxconn", backlog >= SOMAXCONN_GOOD, backlog,
		   backlog >= SOMAXCONN_GOOD ? "" : ": bursts of more new connections are dropped");
}

static void check_grant(FILE *to)
{
	struct environment_wish wish = { .n_workers = environment_cpus(), .n_listeners = 1 };
	struct environment_grant grant;
	struct environment_capacity capacity;
	char text[160];
	bool good;

	environment_grant(&grant);
	environment_capacity(&wish, &grant, &capacity);
	(void)snprintf(text, sizeof(text),
		       ": %u client connections at a time, as many to upstreams",
		       capacity.clients * wish.n_workers);
	say_number(to, "RLIMIT_NOFILE", grant.nofile >= 4096, grant.nofile, text);
	good = grant.memlock / RING_MEMLOCK > wish.n_workers;
	say_number(to, "RLIMIT_MEMLOCK", good, grant.memlock,
		   good ? "" : ": rings are smaller, which costs system calls");
	(void)snprintf(text, sizeof(text), ": %u splice pipes; bodies beyond them are copied",
		       capacity.pipes * wish.n_workers);
	say_number(to, "fs.pipe-user-pages-soft", capacity.pipes >= 64, grant.pipe_pages, text);
	say_number(to, "memory", grant.memory >> 28 > 0, grant.memory, " bytes");
	say_number(to, "CPUs", true, wish.n_workers, ": a worker on each");
}

int environment_check(FILE *to)
{
	struct ring_probe probe;
	int r = ring_probe(slice_of(getenv("SLUICE_URING_MASK")), &probe);

	check_kernel(to, r);
	check_uring(to, r, &probe);
	check_sysctls(to);
	check_grant(to);
	return r == 0 ? OPTIONS_OK : OPTIONS_NO_FACILITY;
}
