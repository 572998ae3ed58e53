/* SPDX-License-Identifier: Apache-2.0 */
/* What the access log says, line by line, and whether it is true. */
#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <stdlib.h>

#include "core/proxy/account.h"
#include "core/proxy/proxy.h"
#include "tests/sim/world.h"

enum { RECORDS = 256, FLUSH_MS = 10000 };

struct ledger {
	struct world *w;
	struct log *log;
	struct log_source *source;
	struct line {
		uint32_t n; /* Lines of this deal: one, or none when it was not begun. */
		uint16_t status;
		uint64_t bytes_out;
	} lines[WORLD_DEALS_MAX];
	uint32_t n_nameless;
};

static struct ledger *open_ledger; /* The format function gets only a record. */

/* "/p/" and the nonce; NULL for a head that could not be read. */
static struct line *line_of(struct ledger *ledger, struct slice path)
{
	char digits[17] = { 0 };

	if (path.len == 0)
		return NULL;
	if (path.len != 19)
		sim_fail(ledger->w->ring, "the path of no request is logged: %.*s",
			 SLICE_ARG(path));
	memcpy(digits, path.ptr + 3, 16);
	return &ledger->lines[world_deal(ledger->w, strtoull(digits, NULL, 16)) - ledger->w->deals];
}

static bool is_in_order(uint64_t earlier_ns, uint64_t later_ns)
{
	return later_ns == 0 || (earlier_ns > 0 && earlier_ns <= later_ns);
}

/* No span is negative: what did not happen is 0, and nothing happens before what it follows. */
static bool is_timely(const struct account *a)
{
	return a->begun_ns <= a->ended_ns && is_in_order(a->begun_ns, a->connected_ns) &&
	       is_in_order(a->connected_ns, a->sent_ns) &&
	       is_in_order(a->connected_ns, a->first_byte_ns) &&
	       is_in_order(a->first_byte_ns, a->received_ns) &&
	       is_in_order(a->sent_ns, a->received_ns) && a->connected_ns <= a->ended_ns &&
	       a->sent_ns <= a->ended_ns && a->first_byte_ns <= a->ended_ns &&
	       a->received_ns <= a->ended_ns;
}

/* log_format_fn: on the writer thread. */
static void judge_line(const void *record, struct writer *out)
{
	const struct account_record *r = record;
	const struct account *a = &r->account;
	struct slice path = slice_make(r->text.path, r->text.path_len);
	struct line *line = line_of(open_ledger, path);

	account_format(record, out);
	if (!is_timely(a))
		sim_fail(open_ledger->w->ring, "a negative span: %.*s",
			 SLICE_ARG(writer_slice(out)));
	if ((a->reason == REASON_NONE) != (a->ender == ACCOUNT_BY_NOBODY))
		sim_fail(open_ledger->w->ring, "an end without a cause: %.*s",
			 SLICE_ARG(writer_slice(out)));
	if (!line) {
		open_ledger->n_nameless++;
		return;
	}
	line->n++;
	line->status = a->status;
	line->bytes_out = a->bytes_out;
}

struct ledger *ledger_open(struct world *w)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	const struct log_options opt = {
		.event_path = "off",
		.access_path = "/dev/null",
		.access_format = judge_line,
		.access_record_size = sizeof(struct account_record),
		.n_records = RECORDS,
	};

	GW_ASSERT(ledger);
	ledger->w = w;
	open_ledger = ledger;
	GW_ASSERT(log_create(&opt, &ledger->log) == 0);
	GW_ASSERT(log_attach(ledger->log, 0, &ledger->source) == 0);
	w->proxy->log = ledger->source;
	return ledger;
}

static void judge_deal(const struct ledger *ledger, uint32_t i)
{
	const struct deal *deal = &ledger->w->deals[i];
	const struct line *line = &ledger->lines[i];
	struct ring *ring = ledger->w->ring;
	uint64_t nonce = deal->plan.nonce;

	if (line->n > 1)
		sim_fail(ring, "%016" PRIx64 ": logged %u times", nonce, line->n);
	if (line->n == 0 && deal->n_seen > 0)
		sim_fail(ring, "%016" PRIx64 ": forwarded, but not logged", nonce);
	if (line->n == 0 || deal->answered == 0)
		return;
	if (line->status != deal->answered)
		sim_fail(ring, "%016" PRIx64 ": answered %u, logged %u", nonce, deal->answered,
			 line->status);
	if (deal->plan.method != PLAN_HEAD && line->bytes_out != deal->answered_len)
		sim_fail(ring, "%016" PRIx64 ": %" PRIu64 " body bytes, logged %" PRIu64, nonce,
			 deal->answered_len, line->bytes_out);
}

void ledger_close(struct ledger *ledger)
{
	struct world *w = ledger->w;
	uint32_t n_answered = 0, n_asked = 0; /* Of those that no line names. */

	GW_ASSERT(log_flush(ledger->log, FLUSH_MS) == 0);
	for (int drop = 0; drop < LOG_N_DROPS; drop++)
		GW_ASSERT(log_n_dropped(ledger->log, (enum log_drop)drop) == 0);
	log_detach(ledger->source);
	log_destroy(ledger->log, FLUSH_MS);
	for (uint32_t i = 0; i < w->n_deals; i++) {
		judge_deal(ledger, i);
		n_answered += ledger->lines[i].n == 0 && w->deals[i].answered > 0;
		n_asked += ledger->lines[i].n == 0 && w->deals[i].asked_ns > 0;
	}
	if (ledger->n_nameless < n_answered || ledger->n_nameless > n_asked + w->n_impatient)
		sim_fail(w->ring, "%u lines without a path for %u to %u such requests",
			 ledger->n_nameless, n_answered, n_asked);
	world_saw(w, WORLD_LOGGED);
	free(ledger);
	open_ledger = NULL;
}
