/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/proxy/proxy.h"
#include "policy/rate_table.h"

enum { KEY_MAX = 16 };

/* Bad tokens of one client: checking a signature costs as much as some requests. */
enum { FAILURES_PER_S = 20, FAILURES_BURST = 100 };
#define FAILURES UINT64_MAX /* Identity of the limit; no policy's is so large. */

struct limits_shared {
	struct rate_table *table;
	struct gcra_rule failures;
	uint32_t n_workers;
	struct {
		struct rate_word word;
		_Atomic uint64_t owner; /* Identity of the limit whose bucket it is. */
	} words[POLICY_LIMITS_MAX];
};

int limits_create(uint64_t n_cells, uint32_t n_workers, struct hash_key key,
		  struct limits_shared **ret_shared)
{
	struct limits_shared *shared =
		aligned_alloc(_Alignof(struct limits_shared), sizeof(struct limits_shared));
	int r;

	if (!shared)
		return -ENOMEM;
	memset(shared, 0, sizeof(*shared));
	shared->n_workers = n_workers;
	r = gcra_rule_set(FAILURES_PER_S, GW_NS_PER_S, FAILURES_BURST, &shared->failures);
	GW_ASSERT(r == 0);
	r = rate_table_create(n_cells, key, &shared->table);
	if (r < 0) {
		free(shared);
		return r;
	}
	*ret_shared = shared;
	return 0;
}

void limits_destroy(struct limits_shared *shared)
{
	if (!shared)
		return;
	rate_table_destroy(shared->table);
	free(shared);
}

/* --- Keys. ----------------------------------------------------------------------------------- */

/* An address as a whole, of IPv6 the network that one customer has. */
static struct slice client_key(const struct peer *client, char text[KEY_MAX])
{
	size_t len = client->family == AF_INET ? 4 : client->family == AF_INET6 ? 8 : 0;

	memcpy(text, client->ip, len);
	return slice_make(text, len);
}

static struct slice number_key(uint32_t number, char text[KEY_MAX])
{
	memcpy(text, &number, sizeof(number));
	return slice_make(text, sizeof(number));
}

struct slice limits_field(const struct http_head *head, struct slice name)
{
	struct slice value;

	return http_only_field(head, name, &value) ? value : SLICE("");
}

static struct slice key_of(const struct limits_request *request, const struct policy_limit *limit,
			   char text[KEY_MAX])
{
	switch ((enum policy_limit_by)limit->by) {
	case POLICY_BY_CLIENT_IP:
		return client_key(request->client, text);
	case POLICY_BY_HEADER:
		return limits_field(request->head, table_text(request->table, limit->field));
	case POLICY_BY_ROUTE:
		return number_key(request->route->slot, text);
	case POLICY_BY_SERVICE:
		return number_key(request->route->service, text);
	case POLICY_BY_CLAIM:
		return auth_claim(request->table, request->known,
				  table_text(request->table, limit->field));
	case POLICY_BY_ALL:
	case POLICY_N_LIMIT_BYS:
		break;
	}
	GW_UNREACHABLE();
}

/* --- Buckets that everybody draws from. ------------------------------------------------------ */

/*
 * A slot that has changed hands begins with a full bucket; who comes first sees to it. Identities
 * grow (limit.c): a worker that still has the table before draws from the new bucket for these
 * milliseconds, and does not fill it once more.
 */
static void own_word(struct limits_shared *shared, const struct policy_limit *limit)
{
	uint64_t owner =
		atomic_load_explicit(&shared->words[limit->slot].owner, memory_order_acquire);
	union rate_cell *cell = &shared->words[limit->slot].word.cell;
	struct rate_pair before;

	if (GW_LIKELY(owner >= limit->identity) ||
	    !atomic_compare_exchange_strong(&shared->words[limit->slot].owner, &owner,
					    limit->identity))
		return;
	do
		before = rate_cell_read(cell);
	while (!rate_cell_swap(cell, before, (struct rate_pair){ 0 }));
}

static void settle_later(struct proxy *proxy)
{
	if (proxy->limits.settling)
		return;
	proxy->limits.settling = true;
	ring_timer_set(proxy->ring, &proxy->limits.settle,
		       ring_now_ns(proxy->ring) + RATE_LEASE_NS);
}

static void take_word(struct proxy *proxy, const struct policy_limit *limit,
		      struct gcra_answer *ret_answer)
{
	struct limits_shared *shared = proxy->shared->limits;

	own_word(shared, limit);
	if (GW_UNLIKELY(proxy->limits.leases[limit->slot].owner != limit->identity)) {
		proxy->limits.leases[limit->slot].lease = (struct rate_lease){ 0 };
		proxy->limits.leases[limit->slot].owner = limit->identity;
	}
	rate_word_take(&shared->words[limit->slot].word, &proxy->limits.leases[limit->slot].lease,
		       &limit->rule, ring_now_ns(proxy->ring), shared->n_workers, ret_answer);
	if (proxy->limits.leases[limit->slot].lease.left > 0)
		settle_later(proxy);
}

static void settle(struct ring_timer *timer)
{
	limits_settle(GW_CONTAINER_OF(timer, struct proxy, limits.settle));
}

void limits_init(struct limits *limits)
{
	ring_timer_init(&limits->settle, settle);
}

void limits_settle(struct proxy *proxy)
{
	const struct policy_table *table = proxy->table;

	ring_timer_cancel(proxy->ring, &proxy->limits.settle);
	proxy->limits.settling = false;
	for (uint32_t i = 0; table && i < table->limits.n; i++) {
		const struct policy_limit *limit = table_limit(table, i);
		struct rate_lease *lease = &proxy->limits.leases[limit->slot].lease;

		if (limit->by == POLICY_BY_ALL && lease->left > 0 &&
		    proxy->limits.leases[limit->slot].owner == limit->identity)
			rate_word_settle(&proxy->shared->limits->words[limit->slot].word, lease,
					 ring_now_ns(proxy->ring));
	}
}

/* --- Buckets of keys. ------------------------------------------------------------------------ */

static void take_key(struct proxy *proxy, const struct limits_request *request,
		     const struct policy_limit *limit, uint64_t *ret_tag,
		     struct gcra_answer *ret_answer)
{
	struct rate_table *table = proxy->shared->limits->table;
	char text[KEY_MAX];
	enum rate_found found;

	*ret_tag = rate_table_tag(table, limit->identity, key_of(request, limit, text));
	found = rate_table_take(table, *ret_tag, &limit->rule, ring_now_ns(proxy->ring), 1,
				ret_answer);
	if (found == RATE_EVICTED)
		metric_inc(proxy->metrics, METRIC_RATE_LIMIT_EVICTIONS);
	else if (found == RATE_GAVE_UP)
		metric_inc(proxy->metrics, METRIC_RATE_LIMIT_GAVE_UP);
}

/* To the lease; what was no lease goes back at once, for others to take. */
static void give_word_back(struct proxy *proxy, const struct policy_limit *limit)
{
	struct rate_lease *lease = &proxy->limits.leases[limit->slot].lease;

	if (++lease->left == 1)
		rate_word_settle(&proxy->shared->limits->words[limit->slot].word, lease,
				 ring_now_ns(proxy->ring));
}

void limits_give_back(struct proxy *proxy, const struct limits_request *request,
		      struct limits_taken *taken)
{
	for (uint32_t i = 0; i < request->route->limits.n; i++) {
		const struct policy_limit *limit =
			table_route_limit(request->table, request->route, i);

		if (!(taken->set & 1u << i))
			continue;
		if (limit->by == POLICY_BY_ALL)
			give_word_back(proxy, limit);
		else
			(void)rate_table_refund(proxy->shared->limits->table, taken->tags[i],
						&limit->rule, ring_now_ns(proxy->ring), 1);
	}
	taken->set = 0;
}

/* --- Telling. -------------------------------------------------------------------------------- */

static uint64_t seconds_up(uint64_t ns)
{
	return (ns + GW_NS_PER_S - 1) / GW_NS_PER_S;
}

/* draft-ietf-httpapi-ratelimit-headers: the bucket's size and how long it takes to fill, what is left. */
static void tell(const struct policy_table *table, const struct policy_limit *limit,
		 const struct gcra_answer *answer, struct writer *out)
{
	struct slice name = table_text(table, limit->name);
	char text[256];
	struct writer w = writer_make(text, sizeof(text));

	writer_lit(&w, "ratelimit-policy: \"");
	writer_put(&w, name);
	writer_lit(&w, "\";q=");
	writer_u64(&w, limit->rule.burst);
	writer_lit(&w, ";w=");
	writer_u64(&w, seconds_up(limit->rule.tolerance_ns));
	writer_lit(&w, "\r\nratelimit: \"");
	writer_put(&w, name);
	writer_lit(&w, "\";r=");
	writer_u64(&w, answer->remaining);
	writer_lit(&w, ";t=");
	writer_u64(&w,
		   seconds_up(answer->admitted ? answer->reset_after_ns : answer->retry_after_ns));
	writer_lit(&w, "\r\n");
	GW_ASSERT(!w.overflow);
	if (writer_len(&w) <= writer_room(out))
		writer_put(out, writer_slice(&w));
}

/* Those of the client itself, which it pays whoever it turns out to be. */
bool limits_is_first(const struct policy_limit *limit)
{
	return limit->by == POLICY_BY_CLIENT_IP || limit->by == POLICY_BY_HEADER;
}

static bool take(struct proxy *proxy, const struct limits_request *request, uint32_t i,
		 struct limits_taken *taken, struct writer *out, uint32_t *ret_retry_s)
{
	const struct policy_limit *limit = table_route_limit(request->table, request->route, i);
	struct gcra_answer answer;
	uint64_t retry_s;

	if (limit->by == POLICY_BY_ALL)
		take_word(proxy, limit, &answer);
	else
		take_key(proxy, request, limit, &taken->tags[i], &answer);
	if (limit->told)
		tell(request->table, limit, &answer, out);
	if (answer.admitted) {
		taken->set |= (uint8_t)(1u << i);
		return true;
	}
	retry_s = seconds_up(answer.retry_after_ns);
	*ret_retry_s = retry_s < 1 ? 1 : retry_s > UINT32_MAX ? UINT32_MAX : (uint32_t)retry_s;
	limits_give_back(proxy, request, taken);
	return false;
}

_Static_assert(POLICY_ROUTE_LIMITS_MAX <= 8, "limits_taken.set is a set of bits");

bool limits_take(struct proxy *proxy, const struct limits_request *request, bool first,
		 struct limits_taken *taken, struct writer *out, uint32_t *ret_retry_s)
{
	const struct policy_route *route = request->route;

	for (uint32_t i = 0; i < route->limits.n; i++)
		if (limits_is_first(table_route_limit(request->table, route, i)) == first &&
		    !take(proxy, request, i, taken, out, ret_retry_s))
			return false;
	return true;
}

/* --- Bad tokens. ----------------------------------------------------------------------------- */

uint64_t limits_client(const struct proxy *proxy, const struct peer *client)
{
	char text[KEY_MAX];

	return rate_table_tag(proxy->shared->limits->table, FAILURES, client_key(client, text));
}

bool limits_may_fail(const struct proxy *proxy, const struct peer *client)
{
	const struct limits_shared *shared = proxy->shared->limits;
	struct gcra_answer answer;

	(void)rate_table_look(shared->table, limits_client(proxy, client), &shared->failures,
			      ring_now_ns(proxy->ring), 1, &answer);
	return answer.admitted;
}

void limits_failed(struct proxy *proxy, const struct peer *client)
{
	struct limits_shared *shared = proxy->shared->limits;
	struct gcra_answer answer;

	(void)rate_table_take(shared->table, limits_client(proxy, client), &shared->failures,
			      ring_now_ns(proxy->ring), 1, &answer);
}

/* --- Looking. -------------------------------------------------------------------------------- */

static void look_at_word(const struct limits_shared *shared, const struct policy_limit *limit,
			 uint64_t now_ns, struct gcra_answer *ret_answer)
{
	static const struct rate_word full;
	uint64_t owner =
		atomic_load_explicit(&shared->words[limit->slot].owner, memory_order_acquire);

	rate_word_look(owner == limit->identity ? &shared->words[limit->slot].word : &full,
		       &limit->rule, now_ns, ret_answer);
}

void limits_look(const struct limits_shared *shared, const struct limits_request *request,
		 uint32_t i, uint64_t now_ns, struct gcra_answer *ret_answer)
{
	const struct policy_limit *limit = table_route_limit(request->table, request->route, i);
	char text[KEY_MAX];
	uint64_t tag;

	if (limit->by == POLICY_BY_ALL) {
		look_at_word(shared, limit, now_ns, ret_answer);
		return;
	}
	tag = rate_table_tag(shared->table, limit->identity, key_of(request, limit, text));
	(void)rate_table_look(shared->table, tag, &limit->rule, now_ns, 1, ret_answer);
}
