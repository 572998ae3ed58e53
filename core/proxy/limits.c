/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/proxy/proxy.h"
#include "policy/rate_table.h"

enum { KEY_MAX = 16 };

struct limits_shared {
	struct rate_table *table;
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

/* Twice there, it says nothing that a rule could go by. */
static struct slice field_key(const struct http_head *head, struct slice name)
{
	struct slice value = SLICE("");
	uint32_t n = 0;

	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (!slice_eq_nocase(http_text(head, head->fields[i].name), name))
			continue;
		value = http_text(head, head->fields[i].value);
		n++;
	}
	return n == 1 ? value : SLICE("");
}

static struct slice key_of(const struct limits_request *request, const struct policy_limit *limit,
			   char text[KEY_MAX])
{
	switch ((enum policy_limit_by)limit->by) {
	case POLICY_BY_CLIENT_IP:
		return client_key(&request->client, text);
	case POLICY_BY_HEADER:
		return field_key(request->head, table_text(request->table, limit->field));
	case POLICY_BY_ROUTE:
		return number_key(request->route->slot, text);
	case POLICY_BY_SERVICE:
		return number_key(request->route->service, text);
	case POLICY_BY_ALL:
	case POLICY_N_LIMIT_BYS:
		break;
	}
	GW_UNREACHABLE();
}

/* --- Buckets that everybody draws from. ------------------------------------------------------ */

/* A slot that has changed hands begins with a full bucket; who comes first sees to it. */
static void own_word(struct limits_shared *shared, const struct policy_limit *limit)
{
	uint64_t owner =
		atomic_load_explicit(&shared->words[limit->slot].owner, memory_order_acquire);
	union rate_cell *cell = &shared->words[limit->slot].word.cell;
	struct rate_pair before;

	if (GW_LIKELY(owner == limit->identity) ||
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
					 &limit->rule, ring_now_ns(proxy->ring));
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
				 &limit->rule, ring_now_ns(proxy->ring));
}

/* The first n limits of the route have given a token for nothing. */
static void give_back(struct proxy *proxy, const struct limits_request *request, uint32_t n,
		      const uint64_t *tags)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct policy_limit *limit =
			table_route_limit(request->table, request->route, i);

		if (limit->by == POLICY_BY_ALL)
			give_word_back(proxy, limit);
		else
			(void)rate_table_refund(proxy->shared->limits->table, tags[i], &limit->rule,
						ring_now_ns(proxy->ring), 1);
	}
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

bool limits_take(struct proxy *proxy, const struct limits_request *request, struct writer *out,
		 uint32_t *ret_retry_s)
{
	const struct policy_route *route = request->route;
	uint64_t tags[POLICY_ROUTE_LIMITS_MAX], retry_s;

	GW_ASSERT(route->limits.n <= POLICY_ROUTE_LIMITS_MAX);
	for (uint32_t i = 0; i < route->limits.n; i++) {
		const struct policy_limit *limit = table_route_limit(request->table, route, i);
		struct gcra_answer answer;

		if (limit->by == POLICY_BY_ALL)
			take_word(proxy, limit, &answer);
		else
			take_key(proxy, request, limit, &tags[i], &answer);
		if (limit->told)
			tell(request->table, limit, &answer, out);
		if (answer.admitted)
			continue;
		give_back(proxy, request, i, tags);
		retry_s = seconds_up(answer.retry_after_ns);
		*ret_retry_s = retry_s < 1            ? 1
			       : retry_s > UINT32_MAX ? UINT32_MAX
						      : (uint32_t)retry_s;
		return false;
	}
	return true;
}
