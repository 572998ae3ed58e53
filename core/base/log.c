/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer sleeps in one of two ways. After a drain that found something it
 * *lingers* for a few milliseconds: producers see it as awake and make no
 * system call, records gather, and one write takes them all. After one that
 * found nothing it *sleeps*: it says so, looks once more, and waits for a kick.
 *
 *     sleeping   set by the writer, then a full fence, then the rings are looked
 *                at; a producer publishes, then a full fence, then looks at
 *                'sleeping': one of the two sees the other.
 */
#include "core/base/log.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "core/base/clock.h"
#include "core/base/log_event.h"
#include "core/base/log_sink.h"
#include "core/base/logring.h"
#include "core/base/metric_render.h"
#include "core/base/thread.h"

#define N_RECORDS_DEFAULT 4096u
#define N_EVENT_RECORDS   256u
#define N_SOURCES_MAX     256u
#define RECORDS_PER_TURN  1024u
#define LINGER_MS         5
#define STALLED_MS        20
#define SLEEP_MS          1000
#define DROP_NOTICE_NS    (60 * GW_NS_PER_S)

struct log_source {
	struct log *log;
	uint32_t worker;
	bool has_access;
	bool fresh;                 /* Something was committed since the last kick. */
	_Atomic uint64_t n_dropped; /* Written by the producer, relaxed. */
	struct logring events;
	struct logring access;
};

struct log {
	struct thread thread;
	log_format_fn *access_format;
	uint32_t access_record_size;
	uint32_t n_records;
	int wake_fd;
	_Atomic uint32_t level;
	_Atomic uint32_t sleeping;
	_Atomic bool reopen;
	_Atomic bool stop;
	uint64_t stop_deadline_ns; /* Written before 'stop' (release). */
	struct log_sink sinks[LOG_N_SINKS];
	uint64_t n_dropped_told; /* The writer's: in the last notice, and when. */
	uint64_t dropped_told_at_ns;

	/* Sources are only ever added: under the lock, then published by the count. */
	pthread_mutex_t lock;
	pthread_cond_t flushed;
	_Atomic uint32_t n_sources;
	struct log_source *sources[N_SOURCES_MAX];
	_Atomic uint64_t flush_asked; /* Written under the lock. */
	uint64_t flush_done;          /* Under the lock. */
};

static _Thread_local struct log_source *own_source;

/* --- Producers -------------------------------------------------------------------------- */

static void wake(struct log *log)
{
	uint64_t one = 1;

	(void)!write(log->wake_fd, &one, sizeof(one)); /* Full means awake already. */
}

void log_kick(struct log_source *source)
{
	struct log *log = source->log;

	if (!source->fresh)
		return;
	source->fresh = false;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&log->sleeping, memory_order_relaxed) &&
	    atomic_exchange_explicit(&log->sleeping, 0, memory_order_relaxed))
		wake(log);
}

static void count_drop(struct log_source *source)
{
	uint64_t n = atomic_load_explicit(&source->n_dropped, memory_order_relaxed);

	atomic_store_explicit(&source->n_dropped, n + 1, memory_order_relaxed);
}

void *log_record(struct log_source *source)
{
	void *record = source->has_access ? logring_reserve(&source->access) : NULL;

	if (!record && source->has_access)
		count_drop(source);
	return record;
}

void log_commit(struct log_source *source)
{
	logring_commit(&source->access);
	source->fresh = true;
}

/* Start-up and tools: no writer yet, so the caller's own thread may wait. */
static void write_to_stderr(const struct log_event_record *record)
{
	char line[8192];
	struct writer w = writer_make(line, sizeof(line));

	log_event_format(record, &w);
	if (!w.overflow)
		(void)!write(STDERR_FILENO, line, writer_len(&w)); /* No one else to tell. */
}

void log_event(struct log_site *site, const struct log_field *fields, uint32_t n_fields)
{
	struct log_source *source = own_source;
	struct log_event_record local;
	struct log_event_record *record = &local;
	uint32_t n_suppressed;
	uint32_t level = LOG_INFO;

	if (source)
		level = atomic_load_explicit(&source->log->level, memory_order_relaxed);
	if (site->level < level || !log_event_passes(site, gw_now_ns(), &n_suppressed))
		return;
	if (source)
		record = logring_reserve(&source->events);
	if (!record) {
		count_drop(source);
		return;
	}
	record->wall_ns = gw_wall_ns();
	record->site = site;
	record->worker = source ? source->worker : UINT32_MAX;
	record->n_suppressed = n_suppressed;
	log_event_fill(record, fields, n_fields);
	if (!source) {
		write_to_stderr(record);
		return;
	}
	logring_commit(&source->events);
	source->fresh = true;
	log_kick(source);
}

/* --- The writer ------------------------------------------------------------------------- */

static uint32_t drain_ring(struct logring *ring, struct log_sink *sink, log_format_fn *format)
{
	const void *record;
	uint32_t n = 0;

	while (n < RECORDS_PER_TURN && (record = logring_peek(ring))) {
		log_sink_line(sink, format, record);
		logring_pop(ring);
		n++;
	}
	return n;
}

/* All rings once, then each sink once. Returns how many records there were. */
static uint32_t drain(struct log *log)
{
	uint32_t n_sources = atomic_load_explicit(&log->n_sources, memory_order_acquire);
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_sources; i++) {
		struct log_source *s = log->sources[i];

		n += drain_ring(&s->events, &log->sinks[LOG_SINK_EVENT], log_event_format);
		if (s->has_access)
			n += drain_ring(&s->access, &log->sinks[LOG_SINK_ACCESS],
					log->access_format);
	}
	for (unsigned i = 0; i < LOG_N_SINKS; i++)
		log_sink_write(&log->sinks[i]);
	return n;
}

static bool sinks_are_empty(const struct log *log)
{
	for (unsigned i = 0; i < LOG_N_SINKS; i++) {
		if (!log_sink_is_empty(&log->sinks[i]))
			return false;
	}
	return true;
}

static bool rings_are_empty(struct log *log)
{
	uint32_t n_sources = atomic_load_explicit(&log->n_sources, memory_order_acquire);

	for (uint32_t i = 0; i < n_sources; i++) {
		struct log_source *s = log->sources[i];

		if (!logring_is_empty(&s->events) ||
		    (s->has_access && !logring_is_empty(&s->access)))
			return false;
	}
	return true;
}

static void wait_ms(struct log *log, int timeout_ms)
{
	struct pollfd p = { .fd = log->wake_fd, .events = POLLIN };
	uint64_t n;

	if (poll(&p, 1, timeout_ms) > 0)
		(void)!read(log->wake_fd, &n, sizeof(n)); /* Only empties it. */
}

static void sleep_until_kicked(struct log *log)
{
	atomic_store_explicit(&log->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (rings_are_empty(log))
		wait_ms(log, sinks_are_empty(log) ? SLEEP_MS : STALLED_MS);
	atomic_store_explicit(&log->sleeping, 0, memory_order_relaxed);
}

/* A line of the writer's own making. */
static void tell(struct log *log, const struct log_site *site, const struct log_field *fields,
		 uint32_t n_fields)
{
	struct log_event_record record = {
		.wall_ns = gw_wall_ns(),
		.site = site,
		.worker = UINT32_MAX,
	};

	log_event_fill(&record, fields, n_fields);
	log_sink_line(&log->sinks[LOG_SINK_EVENT], log_event_format, &record);
}

static void tell_drops(struct log *log)
{
	static const struct log_site site = { .event = "log_lines_dropped", .level = LOG_ERROR };
	uint64_t n[LOG_N_DROPS];
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOG_N_DROPS; i++) {
		n[i] = log_n_dropped(log, i);
		sum += n[i];
	}
	if (sum == log->n_dropped_told ||
	    (log->n_dropped_told > 0 && gw_now_ns() - log->dropped_told_at_ns < DROP_NOTICE_NS))
		return;

	const struct log_field fields[] = {
		LOG_U64("backpressure", n[LOG_DROP_BACKPRESSURE]),
		LOG_U64("enospc", n[LOG_DROP_ENOSPC]),
		LOG_U64("error", n[LOG_DROP_ERROR]),
	};

	log->n_dropped_told = sum;
	log->dropped_told_at_ns = gw_now_ns();
	tell(log, &site, fields, ARRAY_SIZE(fields));
}

static void reopen_files(struct log *log)
{
	static const struct log_site site = { .event = "log_reopen_failed", .level = LOG_ERROR };

	for (unsigned i = 0; i < LOG_N_SINKS; i++) {
		int r = log_sink_reopen(&log->sinks[i]);
		const struct log_field fields[] = {
			LOG_STR("path", slice_of(log->sinks[i].path)),
			LOG_ERRNO("error", r),
		};

		if (r < 0)
			tell(log, &site, fields, ARRAY_SIZE(fields));
	}
}

static void tell_flushed(struct log *log, uint64_t asked)
{
	GW_ASSERT(pthread_mutex_lock(&log->lock) == 0);
	if (log->flush_done < asked) {
		log->flush_done = asked;
		(void)pthread_cond_broadcast(&log->flushed);
	}
	GW_ASSERT(pthread_mutex_unlock(&log->lock) == 0);
}

/* One turn; returns whether the writer may end. */
static bool turn(struct log *log)
{
	uint64_t asked = atomic_load_explicit(&log->flush_asked, memory_order_acquire);
	bool stop = atomic_load_explicit(&log->stop, memory_order_acquire);
	uint32_t n;

	if (atomic_exchange_explicit(&log->reopen, false, memory_order_acquire))
		reopen_files(log);
	n = drain(log);
	tell_drops(log);
	if (n == 0 && sinks_are_empty(log)) {
		tell_flushed(log, asked);
		if (stop)
			return true;
	}
	if (stop && gw_now_ns() >= log->stop_deadline_ns)
		return true;
	/* Whoever waits for a flush or the end is not to wait for a linger, too. */
	if (stop || asked != log->flush_done)
		wait_ms(log, sinks_are_empty(log) ? 0 : STALLED_MS);
	else if (n > 0)
		wait_ms(log, LINGER_MS);
	else
		sleep_until_kicked(log);
	return false;
}

static void run(void *arg)
{
	struct log *log = arg;

	while (!turn(log))
		continue;
}

/* --- Life ------------------------------------------------------------------------------- */

static void init_lock(struct log *log)
{
	pthread_condattr_t attr;

	GW_ASSERT(pthread_condattr_init(&attr) == 0);
	GW_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	GW_ASSERT(pthread_cond_init(&log->flushed, &attr) == 0);
	(void)pthread_condattr_destroy(&attr); /* Cannot fail. */
	GW_ASSERT(pthread_mutex_init(&log->lock, NULL) == 0);
}

static void fini_lock(struct log *log)
{
	(void)pthread_cond_destroy(&log->flushed); /* Nobody waits. */
	(void)pthread_mutex_destroy(&log->lock);
}

static int open_sinks(struct log *log, const struct log_options *opt)
{
	int r = log_sink_open(&log->sinks[LOG_SINK_EVENT], opt->event_path, STDERR_FILENO);

	if (r < 0)
		return r;
	r = log_sink_open(&log->sinks[LOG_SINK_ACCESS], opt->access_path, -1);
	if (r < 0)
		log_sink_close(&log->sinks[LOG_SINK_EVENT]);
	return r;
}

static void close_sinks(struct log *log)
{
	for (unsigned i = 0; i < LOG_N_SINKS; i++)
		log_sink_close(&log->sinks[i]);
}

int log_create(const struct log_options *opt, struct log **ret_log)
{
	struct log *log = calloc(1, sizeof(*log));
	int r;

	GW_ASSERT(!opt->access_format == !opt->access_record_size);
	if (!log)
		return -ENOMEM;
	log->access_format = opt->access_format;
	log->access_record_size = opt->access_record_size;
	log->n_records = opt->n_records ? opt->n_records : N_RECORDS_DEFAULT;
	log->level = opt->level;
	r = open_sinks(log, opt);
	if (r < 0)
		goto free_log;
	log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (log->wake_fd < 0) {
		r = -errno;
		goto close_sinks;
	}
	init_lock(log);
	r = thread_start(&log->thread, "log", THREAD_ANY_CPU, run, log);
	if (r < 0)
		goto close_wake;
	*ret_log = log;
	return 0;

close_wake:
	fini_lock(log);
	(void)close(log->wake_fd);
close_sinks:
	close_sinks(log);
free_log:
	free(log);
	return r;
}

static void source_free(struct log_source *source)
{
	logring_fini(&source->events);
	if (source->has_access)
		logring_fini(&source->access);
	free(source);
}

void log_destroy(struct log *log, uint32_t timeout_ms)
{
	log->stop_deadline_ns = gw_now_ns() + timeout_ms * GW_NS_PER_MS;
	atomic_store_explicit(&log->stop, true, memory_order_release);
	wake(log);
	thread_join(&log->thread);
	if (own_source && own_source->log == log)
		own_source = NULL;
	for (uint32_t i = 0; i < log->n_sources; i++)
		source_free(log->sources[i]);
	close_sinks(log);
	(void)close(log->wake_fd);
	fini_lock(log);
	free(log);
}

static int source_create(struct log *log, uint32_t worker, struct log_source **ret_source)
{
	struct log_source *source = aligned_alloc(64, bits_align_up(sizeof(*source), 64));
	int r;

	if (!source)
		return -ENOMEM;
	*source = (struct log_source){ .log = log, .worker = worker };
	r = logring_init(&source->events, sizeof(struct log_event_record), N_EVENT_RECORDS);
	if (r < 0)
		goto free_source;
	source->has_access = log->access_format && log->sinks[LOG_SINK_ACCESS].fd >= 0;
	if (source->has_access)
		r = logring_init(&source->access, log->access_record_size, log->n_records);
	if (r < 0)
		goto fini_events;
	*ret_source = source;
	return 0;

fini_events:
	logring_fini(&source->events);
free_source:
	free(source);
	return r;
}

int log_attach(struct log *log, uint32_t worker, struct log_source **ret_source)
{
	struct log_source *source;
	uint32_t n;
	int r;

	GW_ASSERT(!own_source);
	r = source_create(log, worker, &source);
	if (r < 0)
		return r;
	GW_ASSERT(pthread_mutex_lock(&log->lock) == 0);
	n = atomic_load_explicit(&log->n_sources, memory_order_relaxed);
	if (n < N_SOURCES_MAX) {
		log->sources[n] = source;
		atomic_store_explicit(&log->n_sources, n + 1, memory_order_release);
	}
	GW_ASSERT(pthread_mutex_unlock(&log->lock) == 0);
	if (n == N_SOURCES_MAX) {
		source_free(source);
		return -ENOSPC;
	}
	own_source = source;
	*ret_source = source;
	return 0;
}

void log_detach(struct log_source *source)
{
	GW_ASSERT(own_source == source);
	log_kick(source);
	own_source = NULL;
}

void log_reopen(struct log *log)
{
	atomic_store_explicit(&log->reopen, true, memory_order_release);
	wake(log);
}

void log_set_level(struct log *log, enum log_level level)
{
	GW_ASSERT((unsigned)level < LOG_N_LEVELS);
	atomic_store_explicit(&log->level, level, memory_order_relaxed);
}

int log_flush(struct log *log, uint32_t timeout_ms)
{
	uint64_t deadline_ns = gw_now_ns() + timeout_ms * GW_NS_PER_MS;
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / GW_NS_PER_S),
		.tv_nsec = (long)(deadline_ns % GW_NS_PER_S),
	};
	uint64_t asked;
	int r = 0;

	GW_ASSERT(pthread_mutex_lock(&log->lock) == 0);
	asked = atomic_fetch_add_explicit(&log->flush_asked, 1, memory_order_release) + 1;
	wake(log);
	while (log->flush_done < asked && r == 0)
		r = -pthread_cond_timedwait(&log->flushed, &log->lock, &until);
	if (log->flush_done >= asked)
		r = 0;
	GW_ASSERT(pthread_mutex_unlock(&log->lock) == 0);
	return r;
}

/* --- Figures ---------------------------------------------------------------------------- */

uint64_t log_n_dropped(const struct log *log, enum log_drop drop)
{
	uint32_t n_sources = atomic_load_explicit(&log->n_sources, memory_order_acquire);
	uint64_t n = 0;

	for (unsigned i = 0; i < LOG_N_SINKS; i++)
		n += atomic_load_explicit(&log->sinks[i].n_dropped[drop], memory_order_relaxed);
	for (uint32_t i = 0; drop == LOG_DROP_BACKPRESSURE && i < n_sources; i++)
		n += atomic_load_explicit(&log->sources[i]->n_dropped, memory_order_relaxed);
	return n;
}

uint64_t log_n_lines(const struct log *log, enum log_sink_id sink)
{
	return atomic_load_explicit(&log->sinks[sink].n_lines, memory_order_relaxed);
}

void log_render_metrics(const struct log *log, struct growbuf *out)
{
	static const struct slice drops[LOG_N_DROPS] = {
		[LOG_DROP_BACKPRESSURE] = SLICE_INIT("reason=\"backpressure\""),
		[LOG_DROP_ENOSPC] = SLICE_INIT("reason=\"enospc\""),
		[LOG_DROP_ERROR] = SLICE_INIT("reason=\"error\""),
	};
	static const struct slice sinks[LOG_N_SINKS] = {
		[LOG_SINK_EVENT] = SLICE_INIT("sink=\"event\""),
		[LOG_SINK_ACCESS] = SLICE_INIT("sink=\"access\""),
	};

	metric_render_head(out, SLICE("gateway_log_dropped_total"), SLICE("counter"),
			   SLICE("Log lines lost, by reason"));
	for (unsigned i = 0; i < LOG_N_DROPS; i++)
		metric_render_sample(out, SLICE("gateway_log_dropped_total"), drops[i],
				     log_n_dropped(log, i));
	metric_render_head(out, SLICE("gateway_log_lines_total"), SLICE("counter"),
			   SLICE("Log lines written, by sink"));
	for (unsigned i = 0; i < LOG_N_SINKS; i++)
		metric_render_sample(out, SLICE("gateway_log_lines_total"), sinks[i],
				     log_n_lines(log, i));
}
