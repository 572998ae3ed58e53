/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrape.c - metrics that are no thread's own counters: of rings, log, process, build.
 */
#include "core/server/scrape.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/writer.h"

/* --- Rings. ---------------------------------------------------------------------------------- */

enum ring_fold { FOLD_SUM, FOLD_LEAST };

static const struct ring_row {
	struct slice name, type, help;
	size_t offset; /* Of the figure in struct ring_stats. */
	enum ring_fold fold;
} ring_rows[] = {
#define STAT(field) offsetof(struct ring_stats, field)
#define COUNTER(name, field, help)                                                                 \
	{                                                                                          \
		SLICE_INIT(name), SLICE_INIT("counter"), SLICE_INIT(help), STAT(field), FOLD_SUM   \
	}
#define GAUGE(name, field, fold, help)                                                             \
	{                                                                                          \
		SLICE_INIT(name), SLICE_INIT("gauge"), SLICE_INIT(help), STAT(field), fold         \
	}
	/* clang-format off */
	COUNTER("gateway_uring_sqe_total", sqes, "Operations submitted"),
	COUNTER("gateway_uring_cqe_total", cqes, "Completions handled"),
	COUNTER("gateway_uring_enter_total", enters, "Calls into the kernel to submit or wait"),
	COUNTER("gateway_uring_nobufs_total", nobufs, "Receives that found no buffer"),
	COUNTER("gateway_uring_cq_overflow_total", cq_overflows, "Completion queue overflows"),
	COUNTER("gateway_uring_stale_answers_total", stale_answers, "Answers for operations that were gone"),
	COUNTER("gateway_uring_posts_total", posts, "Messages sent to other rings"),
	COUNTER("gateway_splice_calls_total", splices, "Moves of body bytes inside the kernel"),
	GAUGE("gateway_uring_ops_armed", ops_armed, FOLD_SUM, "Operations whose final answer is due"),
	GAUGE("gateway_uring_files_used", files_open, FOLD_SUM, "Sockets open in workers"),
	GAUGE("gateway_uring_timers_armed", timers_armed, FOLD_SUM, "Timers set"),
	GAUGE("gateway_uring_cq_entries", cq_size, FOLD_LEAST, "Size of the smallest completion queue; below 8192 RLIMIT_MEMLOCK is low"),
	GAUGE("gateway_buffers_lent", bufs_held, FOLD_SUM, "Receive buffers held by connections"),
	GAUGE("gateway_pipes_used", pipes_held, FOLD_SUM, "Splice pipes in use"),
/* clang-format on */
#undef GAUGE
#undef COUNTER
#undef STAT
};

static uint64_t ring_figure(const struct ring *ring, size_t offset)
{
	const char *stats = (const char *)ring_stats(ring);
	const _Atomic uint64_t *figure = (const void *)(stats + offset);

	return atomic_load_explicit(figure, memory_order_relaxed);
}

static void put_ring_row(const struct scrape_view *view, const struct ring_row *row,
			 struct growbuf *out)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < view->n_rings; i++) {
		uint64_t figure = ring_figure(view->rings[i], row->offset);

		if (row->fold == FOLD_SUM)
			value += figure;
		else if (i == 0 || figure < value)
			value = figure;
	}
	metric_render_head(out, row->name, row->type, row->help);
	metric_render_sample(out, row->name, SLICE(""), value);
}

/* --- The process. ---------------------------------------------------------------------------- */

/* The first 'size' bytes of a file in /proc. */
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

/* The n-th word of a line, from 0, as a number; 0 when there is none. */
static uint64_t number_at(struct slice line, unsigned n)
{
	struct slice word;
	uint64_t value;

	for (unsigned i = 0; i <= n; i++)
		slice_split(line, ' ', &word, &line);
	return slice_to_u64(word, &value) == 0 ? value : 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		GW_UNREACHABLE();
	return (uint64_t)ts.tv_sec * GW_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Wall time of the start: field 22 of /proc/self/stat counts ticks since boot. */
static uint64_t start_ns(void)
{
	static uint64_t cached; /* It must not wander with the wall clock. */
	char text[1024];
	struct slice stat = read_file("/proc/self/stat", text, sizeof(text));
	size_t name_end = slice_find_last(stat, ')');
	uint64_t ticks, age;

	if (cached || name_end == SLICE_NONE)
		return cached;
	ticks = number_at(slice_drop(stat, name_end + 2), 19);
	age = clock_ns(CLOCK_BOOTTIME) - ticks * (GW_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	cached = gw_wall_ns() - age;
	return cached;
}

static uint64_t pages(unsigned column)
{
	char text[128];
	struct slice statm = read_file("/proc/self/statm", text, sizeof(text));

	return number_at(statm, column) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t virtual_bytes(void)
{
	return pages(0);
}

static uint64_t resident_bytes(void)
{
	return pages(1);
}

static uint64_t cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Linux tells the number as the folder's size from 6.2 on; before, it is counted. */
static uint64_t open_fds(void)
{
	struct stat st;
	uint64_t n = 0;
	DIR *folder;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	folder = opendir("/proc/self/fd");
	if (!folder)
		return 0;
	for (const struct dirent *entry; (entry = readdir(folder));)
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n - 1; /* The folder's own. */
}

static uint64_t max_fds(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

static const struct process_row {
	struct slice name, type, help;
	uint64_t (*value)(void);
	bool is_ns; /* Shown as seconds. */
} process_rows[] = {
#define ROW(name, type, value, is_ns, help)                                                        \
	{                                                                                          \
		SLICE_INIT(name), SLICE_INIT(type), SLICE_INIT(help), value, is_ns                 \
	}
	/* clang-format off */
	ROW("process_start_time_seconds", "gauge", start_ns, true, "Start of the process, since 1970"),
	ROW("process_cpu_seconds_total", "counter", cpu_ns, true, "Processor time, user and system"),
	ROW("process_resident_memory_bytes", "gauge", resident_bytes, false, "Memory in use"),
	ROW("process_virtual_memory_bytes", "gauge", virtual_bytes, false, "Address space reserved"),
	ROW("process_open_fds", "gauge", open_fds, false, "Open descriptors"),
	ROW("process_max_fds", "gauge", max_fds, false, "Most descriptors allowed"),
/* clang-format on */
#undef ROW
};

static void put_seconds(struct growbuf *out, struct slice name, uint64_t ns)
{
	char digits[9];
	struct writer w = writer_make(digits, sizeof(digits));

	writer_padded(&w, ns % GW_NS_PER_S, sizeof(digits));
	growbuf_put(out, name);
	growbuf_char(out, ' ');
	growbuf_u64(out, ns / GW_NS_PER_S);
	growbuf_char(out, '.');
	growbuf_put(out, writer_slice(&w));
	growbuf_char(out, '\n');
}

static void put_process_row(const struct process_row *row, struct growbuf *out)
{
	uint64_t value = row->value();

	metric_render_head(out, row->name, row->type, row->help);
	if (row->is_ns)
		put_seconds(out, row->name, value);
	else
		metric_render_sample(out, row->name, SLICE(""), value);
}

/* --- The build. ------------------------------------------------------------------------------ */

static void put_build(struct growbuf *out)
{
	struct slice name = SLICE("gateway_build_info");
	struct utsname system = { .release = "?" };
	char text[256];
	struct writer labels = writer_make(text, sizeof(text));

	(void)uname(&system);
	writer_lit(&labels, "version=\"" GW_VERSION "\",llhttp=\"" GW_LLHTTP_VERSION
			    "\",liburing=\"" GW_URING_VERSION "\",kernel=\"");
	writer_put(&labels, slice_of(system.release)); /* Of the kernel: at most 64 bytes. */
	writer_lit(&labels, "\"");
	GW_ASSERT(!labels.overflow);
	metric_render_head(out, name, SLICE("gauge"), SLICE("1; what runs here, in the labels"));
	metric_render_sample(out, name, writer_slice(&labels), 1);
}

/* --- The control thread. --------------------------------------------------------------------- */

static void put_control(const struct scrape_view *view, struct growbuf *out)
{
	struct slice failures = SLICE("gateway_dns_failures_total");

	metric_render_head(out, failures, SLICE("counter"), SLICE("Failed name resolutions"));
	metric_render_sample(out, failures, SLICE(""), view->n_dns_failures);
}

/* --- All of it. ------------------------------------------------------------------------------ */

void scrape_render(const struct scrape_view *view, struct growbuf *out)
{
	metric_render(&view->metrics, out);
	for (size_t i = 0; i < ARRAY_SIZE(ring_rows) && view->n_rings > 0; i++)
		put_ring_row(view, &ring_rows[i], out);
	put_control(view, out);
	scrape_render_tls(view, out);
	if (view->log)
		log_render_metrics(view->log, out);
	for (size_t i = 0; i < ARRAY_SIZE(process_rows); i++)
		put_process_row(&process_rows[i], out);
	put_build(out);
}
