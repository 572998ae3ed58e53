/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/metric_render.h"

#include "core/base/metric_keyed.h"
#include "core/base/writer.h"

/* The last two are of nanoseconds, shown as seconds and as milliseconds. */
enum unit { UNIT_ONE, UNIT_NS, UNIT_NS_AS_MS };

enum dim {
	DIM_NONE,
	DIM_WORKER,
	DIM_REJECTED,
	DIM_CLOSED,
	DIM_ANOMALY,
	DIM_STRIPPED,
	DIM_POOL_CLOSE,
	DIM_HANDSHAKE,
	DIM_H2_CODE,
	DIM_TLS_FAILURE,
	DIM_PUSH,
	DIM_METHOD,
	DIM_STATUS,
	DIM_REASON,
	DIM_ROUTE,
	DIM_SERVICE,
	DIM_N
};

static const struct slice dim_names[DIM_N] = {
	[DIM_H2_CODE] = SLICE_INIT("code"),      [DIM_WORKER] = SLICE_INIT("worker"),
	[DIM_REJECTED] = SLICE_INIT("reason"),   [DIM_CLOSED] = SLICE_INIT("reason"),
	[DIM_ANOMALY] = SLICE_INIT("type"),      [DIM_STRIPPED] = SLICE_INIT("name"),
	[DIM_POOL_CLOSE] = SLICE_INIT("reason"), [DIM_METHOD] = SLICE_INIT("method"),
	[DIM_STATUS] = SLICE_INIT("status"),     [DIM_REASON] = SLICE_INIT("reason"),
	[DIM_ROUTE] = SLICE_INIT("route"),       [DIM_SERVICE] = SLICE_INIT("upstream"),
	[DIM_HANDSHAKE] = SLICE_INIT("kind"),    [DIM_TLS_FAILURE] = SLICE_INIT("cause"),
	[DIM_PUSH] = SLICE_INIT("result"),
};

/* A counter or gauge row. */
struct row {
	struct slice name;
	struct slice help;
	uint16_t first;
	uint16_t n_cells;
	uint8_t dim;
	uint8_t unit;
};

static const struct row counter_rows[] = {
#define METRIC_COUNTER(id, name_, dim_, unit_, help_)                                              \
	{ SLICE_INIT(name_),   SLICE_INIT(help_), METRIC_##id,                                     \
	  METRIC_DIM_N_##dim_, DIM_##dim_,        UNIT_##unit_ },
#include "core/base/metrics.def"
};

static const struct row gauge_rows[] = {
#define METRIC_GAUGE(id, name_, dim_, unit_, help_)                                                \
	{ SLICE_INIT(name_), SLICE_INIT(help_), METRIC_##id, 1, DIM_##dim_, UNIT_##unit_ },
#include "core/base/metrics.def"
};

static const struct keyed_row {
	struct slice name;
	struct slice help;
	uint8_t a, b, names;
} keyed_rows[METRIC_N_KEYED] = {
#define METRIC_KEYED(id, name_, a_, b_, names_, log2_cells, help_)                                 \
	[METRIC_##id] = { SLICE_INIT(name_), SLICE_INIT(help_), DIM_##a_, DIM_##b_, DIM_##names_ },
#include "core/base/metrics.def"
};

/* Upper bound of a bucket, inclusive, and how it is written. */
struct bucket {
	uint64_t bound;
	struct slice text;
};

#define US(n, text_)                                                                               \
	{                                                                                          \
		(n) * UINT64_C(1000), SLICE_INIT(text_)                                            \
	}
#define NUMBER(n)                                                                                  \
	{                                                                                          \
		n, SLICE_INIT(#n)                                                                  \
	}

static const struct bucket seconds_buckets[] = {
	US(500, "0.0005"),  US(1000, "0.001"),  US(2500, "0.0025"), US(5000, "0.005"),
	US(7500, "0.0075"), US(10000, "0.01"),  US(15000, "0.015"), US(25000, "0.025"),
	US(50000, "0.05"),  US(75000, "0.075"), US(100000, "0.1"),  US(250000, "0.25"),
	US(500000, "0.5"),  US(750000, "0.75"), US(1000000, "1"),   US(2500000, "2.5"),
	US(5000000, "5"),   US(7500000, "7.5"), US(10000000, "10"),
};

static const struct bucket sync_buckets[] = {
	US(100, "0.0001"),  US(250, "0.00025"), US(500, "0.0005"), US(1000, "0.001"),
	US(2500, "0.0025"), US(5000, "0.005"),  US(10000, "0.01"), US(50000, "0.05"),
	US(100000, "0.1"),  US(1000000, "1"),
};

/* The same, as milliseconds. */
static const struct bucket sync_ms_buckets[] = {
	US(100, "0.1"), US(250, "0.25"), US(500, "0.5"),  US(1000, "1"),     US(2500, "2.5"),
	US(5000, "5"),  US(10000, "10"), US(50000, "50"), US(100000, "100"), US(1000000, "1000"),
};

static const struct bucket count_buckets[] = {
	NUMBER(0),  NUMBER(1),  NUMBER(2),   NUMBER(4),   NUMBER(8),   NUMBER(16),
	NUMBER(32), NUMBER(64), NUMBER(128), NUMBER(256), NUMBER(512), NUMBER(1024),
};

#define BUCKETS_SECONDS seconds_buckets, ARRAY_SIZE(seconds_buckets), UNIT_NS
#define BUCKETS_SYNC    sync_buckets, ARRAY_SIZE(sync_buckets), UNIT_NS
#define BUCKETS_SYNC_MS sync_ms_buckets, ARRAY_SIZE(sync_ms_buckets), UNIT_NS_AS_MS
#define BUCKETS_COUNT   count_buckets, ARRAY_SIZE(count_buckets), UNIT_ONE

static const struct hist_row {
	struct slice name;
	struct slice help;
	const struct bucket *buckets;
	size_t n_buckets;
	enum unit unit;
} hist_rows[METRIC_N_HISTS] = {
#define METRIC_HISTOGRAM(id, name_, buckets_, help_)                                               \
	[METRIC_##id] = { SLICE_INIT(name_), SLICE_INIT(help_), BUCKETS_##buckets_ },
#include "core/base/metrics.def"
};

static const struct alias_row {
	enum metric_hist of;
	struct hist_row row;
} alias_rows[] = {
#define METRIC_ALIAS(id, name_, buckets_, help_)                                                   \
	{ METRIC_##id, { SLICE_INIT(name_), SLICE_INIT(help_), BUCKETS_##buckets_ } },
#include "core/base/metrics.def"
};

static const struct slice anomaly_texts[] = {
#define METRIC_LABEL_ANOMALY(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice stripped_texts[] = {
#define METRIC_LABEL_STRIPPED(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice pool_close_texts[] = {
#define METRIC_LABEL_POOL_CLOSE(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice handshake_texts[] = {
#define METRIC_LABEL_HANDSHAKE(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice h2_code_texts[] = {
#define METRIC_LABEL_H2_CODE(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice tls_failure_texts[] = {
#define METRIC_LABEL_TLS_FAILURE(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice push_texts[] = {
#define METRIC_LABEL_PUSH(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static const struct slice method_texts[] = {
#define METRIC_LABEL_METHOD(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

/* --- Text ------------------------------------------------------------------------------- */

void metric_render_head(struct growbuf *out, struct slice name, struct slice type,
			struct slice help)
{
	growbuf_lit(out, "# HELP ");
	growbuf_put(out, name);
	growbuf_char(out, ' ');
	growbuf_put(out, help);
	growbuf_lit(out, "\n# TYPE ");
	growbuf_put(out, name);
	growbuf_char(out, ' ');
	growbuf_put(out, type);
	growbuf_char(out, '\n');
}

static void put_name(struct growbuf *out, struct slice name, struct slice suffix)
{
	growbuf_put(out, name);
	growbuf_put(out, suffix);
}

void metric_render_sample(struct growbuf *out, struct slice name, struct slice labels,
			  uint64_t value)
{
	growbuf_put(out, name);
	if (labels.len > 0) {
		growbuf_char(out, '{');
		growbuf_put(out, labels);
		growbuf_char(out, '}');
	}
	growbuf_char(out, ' ');
	growbuf_u64(out, value);
	growbuf_char(out, '\n');
}

static void put_value(struct growbuf *out, enum unit unit, uint64_t value)
{
	static const struct {
		uint32_t divisor, digits;
	} units[] = { [UNIT_ONE] = { 1, 0 },
		      [UNIT_NS] = { 1000000000, 9 },
		      [UNIT_NS_AS_MS] = { 1000000, 6 } };
	char text[WRITER_U64_MAX + 10];
	struct writer w = writer_make(text, sizeof(text));

	writer_u64(&w, value / units[unit].divisor);
	if (units[unit].digits) {
		writer_char(&w, '.');
		writer_padded(&w, value % units[unit].divisor, units[unit].digits);
	}
	growbuf_put(out, writer_slice(&w));
	growbuf_char(out, '\n');
}

/* key="value" with the three escapes of the format; 'first' opens the braces. */
static void put_label(struct growbuf *out, bool first, struct slice key, struct slice value)
{
	growbuf_char(out, first ? '{' : ',');
	growbuf_put(out, key);
	growbuf_lit(out, "=\"");
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (c == '\\' || c == '"' || c == '\n')
			growbuf_char(out, '\\');
		growbuf_char(out, c == '\n' ? 'n' : c);
	}
	growbuf_char(out, '"');
}

static struct slice number_text(struct writer *w, unsigned value)
{
	writer_u64(w, value);
	return writer_slice(w);
}

/* The text of one value of a closed label; numbers are written to *w. */
static struct slice dim_text(enum dim dim, unsigned value, struct writer *w)
{
	switch (dim) {
	case DIM_REJECTED:
	case DIM_CLOSED:
	case DIM_REASON:
		return reason_label(value);
	case DIM_ANOMALY:
		return anomaly_texts[value];
	case DIM_STRIPPED:
		return stripped_texts[value];
	case DIM_POOL_CLOSE:
		return pool_close_texts[value];
	case DIM_HANDSHAKE:
		return handshake_texts[value];
	case DIM_H2_CODE:
		return h2_code_texts[value];
	case DIM_TLS_FAILURE:
		return tls_failure_texts[value];
	case DIM_PUSH:
		return push_texts[value];
	case DIM_METHOD:
		return method_texts[value];
	case DIM_STATUS:
	case DIM_WORKER:
		return number_text(w, value);
	case DIM_NONE:
	case DIM_ROUTE:
	case DIM_SERVICE:
	case DIM_N:
		break;
	}
	GW_UNREACHABLE();
}

static void put_dim(struct growbuf *out, bool first, enum dim dim, unsigned value)
{
	char digits[WRITER_U64_MAX];
	struct writer w = writer_make(digits, sizeof(digits));

	put_label(out, first, dim_names[dim], dim_text(dim, value, &w));
}

/* --- Counters and gauges ---------------------------------------------------------------- */

static uint64_t load(const _Atomic uint64_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

uint64_t metric_sum_counter(const struct metric_view *view, enum metric_counter cell)
{
	uint64_t n = 0;

	GW_ASSERT((unsigned)cell < METRIC_N_COUNTER_CELLS);
	for (uint32_t i = 0; i < view->n_sets; i++)
		n += load(&view->sets[i]->counters[cell]);
	return n;
}

int64_t metric_sum_gauge(const struct metric_view *view, enum metric_gauge gauge)
{
	uint64_t n = 0;

	GW_ASSERT((unsigned)gauge < METRIC_N_GAUGES);
	for (uint32_t i = 0; i < view->n_sets; i++)
		n += load(&view->sets[i]->gauges[gauge]);
	return (int64_t)n;
}

/* Values that can never count in this row stay out of it. */
static bool is_shown(enum dim dim, unsigned value)
{
	if (dim == DIM_REJECTED)
		return reason_scope(value) & REASON_SCOPE_REQUEST;
	if (dim == DIM_CLOSED)
		return reason_scope(value) & REASON_SCOPE_CONN;
	return true;
}

static void put_counter_per_worker(const struct metric_view *view, const struct row *row,
				   struct growbuf *out)
{
	for (uint32_t i = 0; i < view->n_sets; i++) {
		const struct metric_set *set = view->sets[i];

		if (set->worker == METRIC_NO_WORKER)
			continue;
		growbuf_put(out, row->name);
		put_dim(out, true, DIM_WORKER, set->worker);
		growbuf_lit(out, "} ");
		put_value(out, row->unit, load(&set->counters[row->first]));
	}
}

static void put_counter(const struct metric_view *view, const struct row *row, struct growbuf *out)
{
	metric_render_head(out, row->name, SLICE("counter"), row->help);
	if (row->dim == DIM_WORKER) {
		put_counter_per_worker(view, row, out);
		return;
	}
	for (unsigned i = 0; i < row->n_cells; i++) {
		if (!is_shown(row->dim, i))
			continue;
		growbuf_put(out, row->name);
		if (row->dim != DIM_NONE) {
			put_dim(out, true, row->dim, i);
			growbuf_char(out, '}');
		}
		growbuf_char(out, ' ');
		put_value(out, row->unit, metric_sum_counter(view, row->first + i));
	}
}

static void put_gauge(const struct metric_view *view, const struct row *row, struct growbuf *out)
{
	metric_render_head(out, row->name, SLICE("gauge"), row->help);
	if (row->dim == DIM_NONE) {
		growbuf_put(out, row->name);
		growbuf_char(out, ' ');
		growbuf_i64(out, metric_sum_gauge(view, row->first));
		growbuf_char(out, '\n');
		return;
	}
	for (uint32_t i = 0; i < view->n_sets; i++) {
		const struct metric_set *set = view->sets[i];

		if (set->worker == METRIC_NO_WORKER)
			continue;
		growbuf_put(out, row->name);
		put_dim(out, true, DIM_WORKER, set->worker);
		growbuf_lit(out, "} ");
		growbuf_i64(out, (int64_t)load(&set->gauges[row->first]));
		growbuf_char(out, '\n');
	}
}

/* --- Histograms ------------------------------------------------------------------------- */

/* The middle of what a cell counts. */
static uint64_t cell_middle(unsigned cell)
{
	unsigned shift = cell < 32 ? 0 : cell / 16 - 1;
	uint64_t low = (uint64_t)(cell - 16 * shift) << shift;

	return low + ((UINT64_C(1) << shift) - 1) / 2;
}

void metric_sum_hist(const struct metric_view *view, enum metric_hist hist,
		     struct metric_hist_sum *ret_sum)
{
	*ret_sum = (struct metric_hist_sum){ 0 };
	for (uint32_t i = 0; i < view->n_sets; i++) {
		const struct metric_hist_cells *h = &view->sets[i]->hists[hist];

		ret_sum->sum += load(&h->sum);
		for (unsigned cell = 0; cell < METRIC_HIST_N_CELLS; cell++)
			ret_sum->cells[cell] += load(&h->n[cell]);
	}
	for (unsigned cell = 0; cell < METRIC_HIST_N_CELLS; cell++)
		ret_sum->n += ret_sum->cells[cell];
}

uint64_t metric_quantile(const struct metric_hist_sum *h, double q)
{
	double want = q * (double)h->n;
	uint64_t below = 0;
	unsigned last = 0;

	GW_ASSERT(q >= 0 && q <= 1);
	for (unsigned cell = 0; cell < METRIC_HIST_N_CELLS; cell++) {
		if (h->cells[cell] == 0)
			continue;
		last = cell;
		below += h->cells[cell];
		if ((double)below >= want)
			break;
	}
	return cell_middle(last);
}

static void put_bucket(struct growbuf *out, const struct hist_row *row, struct slice le, uint64_t n)
{
	put_name(out, row->name, SLICE("_bucket"));
	put_label(out, true, SLICE("le"), le);
	growbuf_lit(out, "} ");
	put_value(out, UNIT_ONE, n);
}

static void put_hist(const struct metric_view *view, enum metric_hist hist,
		     const struct hist_row *row, struct growbuf *out)
{
	struct metric_hist_sum sum;
	uint64_t below = 0;
	unsigned cell = 0;

	metric_sum_hist(view, hist, &sum);
	metric_render_head(out, row->name, SLICE("histogram"), row->help);
	for (size_t i = 0; i < row->n_buckets; i++) {
		while (cell < METRIC_HIST_N_CELLS && cell_middle(cell) <= row->buckets[i].bound)
			below += sum.cells[cell++];
		put_bucket(out, row, row->buckets[i].text, below);
	}
	put_bucket(out, row, SLICE("+Inf"), sum.n);
	put_name(out, row->name, SLICE("_sum "));
	put_value(out, row->unit, sum.sum);
	put_name(out, row->name, SLICE("_count "));
	put_value(out, UNIT_ONE, sum.n);
}

/* --- Keyed counters --------------------------------------------------------------------- */

struct sample {
	uint64_t key;
	uint64_t n;
};

static const struct metric_names *names_of(const struct metric_view *view, enum dim dim)
{
	GW_ASSERT(dim == DIM_ROUTE || dim == DIM_SERVICE);
	return dim == DIM_ROUTE ? &view->routes : &view->services;
}

static struct slice name_text(const struct metric_names *names, unsigned name)
{
	if (name == METRIC_NAME_REJECTED)
		return SLICE("_rejected");
	if (name == METRIC_NAME_LOCAL)
		return SLICE("_local");
	if (name < names->n && names->names[name].len > 0)
		return names->names[name];
	return SLICE("_other");
}

/* Slots that have no name become OTHER, so that no two samples look alike. */
static uint64_t known_key(const struct metric_names *names, uint64_t key)
{
	unsigned name = metric_key_name(key);

	if (slice_eq(name_text(names, name), SLICE("_other")))
		name = METRIC_NAME_OTHER;
	return metric_key(metric_key_a(key), metric_key_b(key), name);
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct sample *)a)->key;
	uint64_t y = ((const struct sample *)b)->key;

	return (x > y) - (x < y);
}

static void collect_samples(const struct metric_view *view, unsigned keyed,
			    struct growbuf *ret_samples)
{
	const struct metric_names *names = names_of(view, keyed_rows[keyed].names);

	for (uint32_t i = 0; i < view->n_sets; i++) {
		struct metric_keyed_table *t = view->sets[i]->keyed[keyed];

		for (uint32_t c = 0; c < t->n_cells; c++) {
			uint64_t key = atomic_load_explicit(&t->cells[c].key, memory_order_acquire);
			struct sample s = { .n = load(&t->cells[c].n) };

			if (key == 0)
				continue;
			s.key = known_key(names, key);
			growbuf_put(ret_samples, slice_make(&s, sizeof(s)));
		}
	}
}

static void put_sample(const struct metric_view *view, const struct keyed_row *row,
		       const struct sample *s, struct growbuf *out)
{
	bool first = true;

	growbuf_put(out, row->name);
	if (row->a != DIM_NONE) {
		put_dim(out, first, row->a, metric_key_a(s->key));
		first = false;
	}
	if (row->b != DIM_NONE) {
		put_dim(out, first, row->b, metric_key_b(s->key));
		first = false;
	}
	put_label(out, first, dim_names[row->names],
		  name_text(names_of(view, row->names), metric_key_name(s->key)));
	growbuf_lit(out, "} ");
	put_value(out, UNIT_ONE, s->n);
}

static void put_keyed(const struct metric_view *view, unsigned keyed, struct growbuf *out)
{
	const struct keyed_row *row = &keyed_rows[keyed];
	struct growbuf scratch;
	struct sample *samples;
	size_t n;

	growbuf_init(&scratch, SIZE_MAX / 4);
	collect_samples(view, keyed, &scratch);
	out->failed |= scratch.failed;
	samples = (struct sample *)(void *)scratch.ptr; /* realloc() aligns it. */
	n = scratch.len / sizeof(*samples);
	if (n > 0)
		qsort(samples, n, sizeof(*samples), by_key);

	metric_render_head(out, row->name, SLICE("counter"), row->help);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && samples[i].key == samples[i + 1].key)
			samples[i + 1].n += samples[i].n;
		else
			put_sample(view, row, &samples[i], out);
	}
	growbuf_fini(&scratch);
}

/* --- All of it -------------------------------------------------------------------------- */

static void put_rare(const char *name, uint64_t n, void *arg)
{
	struct growbuf *out = arg;

	growbuf_lit(out, "gateway_rare_events_total");
	put_label(out, true, SLICE("event"), slice_of(name));
	growbuf_lit(out, "} ");
	put_value(out, UNIT_ONE, n);
}

void metric_render(const struct metric_view *view, struct growbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(counter_rows); i++)
		put_counter(view, &counter_rows[i], out);
	for (size_t i = 0; i < ARRAY_SIZE(gauge_rows); i++)
		put_gauge(view, &gauge_rows[i], out);
	for (unsigned i = 0; i < METRIC_N_HISTS; i++)
		put_hist(view, i, &hist_rows[i], out);
	for (size_t i = 0; i < ARRAY_SIZE(alias_rows); i++)
		put_hist(view, alias_rows[i].of, &alias_rows[i].row, out);
	for (unsigned i = 0; i < METRIC_N_KEYED; i++)
		put_keyed(view, i, out);
	metric_render_head(out, SLICE("gateway_rare_events_total"), SLICE("counter"),
			   SLICE("Handled improbable events, by place in the source"));
	gw_count_each(put_rare, out);
}
