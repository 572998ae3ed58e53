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
	struct leases_shared *leases;
};

int limits_create(uint64_t n_cells, uint32_t n_workers, struct hash_key key,
		  struct limits_shared **ret_shared)
{
	struct limits_shared *shared = calloc(1, sizeof(*shared));
	int r;

	if (!shared)
		return -ENOMEM;
	r = gcra_rule_set(FAILURES_PER_S, GW_NS_PER_S, FAILURES_BURST, &shared->failures);
	GW_ASSERT(r == 0);
	r = rate_table_create(n_cells, key, &shared->table);
	if (r == 0)
		r = leases_shared_create(n_workers, &shared->leases);
	if (r < 0) {
		limits_destroy(shared);
		return r;
	}
	*ret_shared = shared;
	return 0;
}

void limits_destroy(struct limits_shared *shared)
{
	if (!shared)
		return;
	if (shared->table)
		rate_table_destroy(shared->table);
	if (shared->leases)
		leases_shared_destroy(shared->leases);
	free(shared);
}

struct leases_shared *limits_leases(const struct limits_shared *shared)
{
	return shared ? shared->leases : NULL;
}

/* --- Keys. ----------------------------------------------------------------------------------- */

/* An address as a whole, of IPv6 the network that one customer has. */
static struct slice client_key(const struct peer *client, char text[KEY_MAX])
{
	size_t len = client->family == AF_INET ? 4 : client->family == AF_INET6 ? 8 : 0;

	memcpy(text, client->ip, len);
	return slice_make(text, len);
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
	case POLICY_BY_CLAIM:
		return auth_claim(request->table, request->known,
				  table_text(request->table, limit->field));
	case POLICY_BY_ALL: /* Their buckets have numbers. */
	case POLICY_BY_ROUTE:
	case POLICY_BY_SERVICE:
	case POLICY_N_LIMIT_BYS:
		break;
	}
	GW_UNREACHABLE();
}

/* --- Taking. --------------------------------------------------------------------------------- */

static const struct policy_route_limit *route_limits(const struct limits_request *request)
{
	return table_route_limits(request->table, request->route);
}

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

static void take_shared(struct proxy *proxy, const struct policy_route_limit *bucket,
			const struct policy_limit *limit, struct gcra_answer *ret_answer)
{
	if (!leases_take(&proxy->leases, bucket, &limit->rule, ret_answer))
		metric_inc(proxy->metrics, METRIC_RATE_LIMIT_GAVE_UP);
}

void limits_give_back(struct proxy *proxy, const struct limits_request *request,
		      struct limits_taken *taken)
{
	for (uint32_t i = 0; i < request->route->limits.n; i++) {
		const struct policy_limit *limit =
			table_route_limit(request->table, request->route, i);

		if (!(taken->set & 1u << i))
			continue;
		if (policy_limit_is_shared(limit->by))
			leases_give_back(&proxy->leases, route_limits(request) + i);
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

/* What comes back in that time. The bucket itself where that is whole seconds. */
static uint64_t quota(const struct gcra_rule *rule, uint64_t window_s)
{
	return window_s * GW_NS_PER_S / rule->interval_ns;
}

/* draft-ietf-httpapi-ratelimit-headers: how many in how long, as the bucket fills; what is left. */
static void tell(const struct policy_table *table, const struct policy_limit *limit,
		 const struct gcra_answer *answer, struct writer *out)
{
	uint64_t window_s = seconds_up(limit->rule.tolerance_ns);
	struct slice name = table_text(table, limit->name);
	char text[256];
	struct writer w = writer_make(text, sizeof(text));

	writer_lit(&w, "ratelimit-policy: \"");
	writer_put(&w, name);
	writer_lit(&w, "\";q=");
	writer_u64(&w, quota(&limit->rule, window_s));
	writer_lit(&w, ";w=");
	writer_u64(&w, window_s);
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

	if (policy_limit_is_shared(limit->by))
		take_shared(proxy, route_limits(request) + i, limit, &answer);
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
	taken->refused = (uint8_t)(i + 1);
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

static uint64_t failures_tag(const struct limits_shared *shared, const struct peer *client)
{
	char text[KEY_MAX];

	return rate_table_tag(shared->table, FAILURES, client_key(client, text));
}

uint64_t limits_client(const struct proxy *proxy, const struct peer *client)
{
	return failures_tag(proxy->shared->limits, client);
}

bool limits_may_fail(const struct limits_shared *shared, const struct peer *client, uint64_t now_ns)
{
	struct gcra_answer answer;

	(void)rate_table_look(shared->table, failures_tag(shared, client), &shared->failures,
			      now_ns, 1, &answer);
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

void limits_look(const struct limits_shared *shared, const struct limits_request *request,
		 uint32_t i, uint64_t now_ns, struct gcra_answer *ret_answer)
{
	const struct policy_limit *limit = table_route_limit(request->table, request->route, i);
	char text[KEY_MAX];
	uint64_t tag;

	if (policy_limit_is_shared(limit->by)) {
		leases_look(shared->leases, route_limits(request) + i, &limit->rule, now_ns,
			    ret_answer);
		return;
	}
	tag = rate_table_tag(shared->table, limit->identity, key_of(request, limit, text));
	(void)rate_table_look(shared->table, tag, &limit->rule, now_ns, 1, ret_answer);
}
