/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "policy/keyring.h"

/* Bounds of the time to live that is believed, and the wait after a failure. */
#define TTL_MIN_S 1
#define TTL_MAX_S 60
#define RETRY_S   2
#define BUSY_NS   (20 * GW_NS_PER_MS)

/* An endpoint with a name, by its slot. */
struct target {
	struct targets *targets;
	struct ring_timer timer;
	uint16_t slot, port;
	bool asked, asking, answered;
	bool gone; /* No endpoint has it any more: the answer that it waits for is its last. */
	uint16_t n_addrs; /* What was answered last. */
	struct policy_addr addrs[POLICY_ADDRS_MAX];
	uint16_t host_len;
	char host[POLICY_HOST_TEXT_MAX];
};

struct edition {
	struct list_node link;
	struct policy_table *table;
};

struct targets {
	struct targets_options opt;
	struct ring_resolver *resolver;
	struct list editions; /* The latest last. */
	uint32_t n_editions;  /* That there ever were. */
	uint64_t n_failures;
	bool frozen, stale; /* Stale: something was learnt that the latest table does not have. */
	struct target *by_slot[POLICY_ENDPOINTS_MAX];
};

/* --- Tables. --------------------------------------------------------------------------------- */

static struct edition *latest(const struct targets *t)
{
	return list_entry(list_last(&t->editions), struct edition, link);
}

static void put_addrs(struct targets *t, struct policy_endpoint *endpoint)
{
	const struct target *target = t->by_slot[endpoint->slot];

	if (!target)
		return;
	endpoint->n_addrs = target->n_addrs;
	memcpy(endpoint->addrs, target->addrs, target->n_addrs * sizeof(target->addrs[0]));
}

/* Takes both. */
static void publish(struct targets *t, struct edition *edition, struct policy_table *table)
{
	for (uint32_t i = 0; i < table->services.n; i++)
		for (uint32_t k = 0; k < table_service(table, i)->endpoints.n; k++)
			put_addrs(t, policy_endpoint_of(table, i, k));
	table->edition = ++t->n_editions;
	policy_begin_limits(table, gw_now_ns());
	table_check(table);
	edition->table = table;
	t->stale = false;
	list_push_back(&t->editions, &edition->link);
	t->opt.changed(t->opt.owner, table);
}

/* The latest once more, with what the targets know now. Without memory the old addresses stay. */
static void publish_again(struct targets *t)
{
	struct edition *edition;
	struct policy_table *table;

	t->stale = t->frozen;
	if (t->frozen)
		return;
	edition = calloc(1, sizeof(*edition));
	table = edition ? policy_copy(latest(t)->table) : NULL;
	if (table && t->opt.keyring)
		keyring_hold_table(t->opt.keyring, table);
	if (table)
		publish(t, edition, table);
	else
		free(edition);
}

const struct policy_table *targets_table(const struct targets *t)
{
	return list_is_empty(&t->editions) ? NULL : latest(t)->table;
}

void targets_freeze(struct targets *t)
{
	GW_ASSERT(!t->frozen);
	t->frozen = true;
}

void targets_thaw(struct targets *t)
{
	GW_ASSERT(t->frozen);
	t->frozen = false;
	if (t->stale)
		publish_again(t);
}

static void free_table(struct targets *t, struct policy_table *table)
{
	if (table && t->opt.keyring)
		keyring_drop_table(t->opt.keyring, table);
	free(table);
}

static void free_edition(struct targets *t, struct edition *edition)
{
	free_table(t, edition->table);
	free(edition);
}

void targets_release(struct targets *t, const struct policy_table *table)
{
	while (!t->frozen) { /* Else another thread looks for the latest. */
		struct edition *oldest = list_entry(list_first(&t->editions), struct edition, link);

		if (oldest == latest(t) || oldest->table->edition >= table->edition)
			return;
		list_remove(&oldest->link);
		free_edition(t, oldest);
	}
}

/* --- Names. ---------------------------------------------------------------------------------- */

static void ask(struct target *target);

static void ask_again(struct ring_timer *timer)
{
	ask(GW_CONTAINER_OF(timer, struct target, timer));
}

static void ask_later(struct target *target, uint64_t span_ns)
{
	struct ring *ring = target->targets->opt.ring;

	ring_timer_set(ring, &target->timer, ring_now_ns(ring) + span_ns);
}

static struct policy_addr policy_addr_of(const struct ring_addr *addr)
{
	struct policy_addr out = { .family = addr->family, .port = addr->port };

	memcpy(out.ip, addr->ip, sizeof(out.ip));
	return out;
}

/* IP addresses, as a name's are. */
static bool is_same_addr(const struct policy_addr *a, const struct policy_addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static bool are_known(const struct target *target, const struct policy_addr *found, uint16_t n)
{
	if (target->n_addrs != n)
		return false;
	for (uint16_t i = 0; i < n; i++)
		if (!is_same_addr(&target->addrs[i], &found[i]))
			return false;
	return true;
}

static void learnt(struct target *target, const struct ring_addr *addrs, uint32_t n_addrs)
{
	struct policy_addr found[POLICY_ADDRS_MAX] = { 0 };
	uint16_t n = 0;

	for (; n < POLICY_ADDRS_MAX && n < n_addrs; n++)
		found[n] = policy_addr_of(&addrs[n]);
	if (are_known(target, found, n))
		return;
	target->n_addrs = n;
	memcpy(target->addrs, found, sizeof(found));
	publish_again(target->targets);
}

static void ask_failed(struct target *target, int status)
{
	target->targets->n_failures++;
	LOG_EVENT(LOG_WARN, "resolve_failed",
		  LOG_STR("host", slice_make(target->host, target->host_len)),
		  LOG_ERRNO("error", status));
	ask_later(target, RETRY_S * GW_NS_PER_S);
}

static void resolved(void *owner, int status, const struct ring_addr *addrs, uint32_t n_addrs,
		     uint32_t ttl_s)
{
	struct target *target = owner;

	target->asking = false;
	if (target->gone || status == -ECANCELED) {
		if (target->gone)
			free(target);
		return;
	}
	target->answered = true;
	if (status < 0) {
		ask_failed(target, status);
		return;
	}
	learnt(target, addrs, n_addrs);
	ttl_s = ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s;
	ask_later(target, (ttl_s > TTL_MAX_S ? TTL_MAX_S : ttl_s) * GW_NS_PER_S);
}

static void ask(struct target *target)
{
	int r = ring_resolve(target->targets->resolver, slice_make(target->host, target->host_len),
			     target->port, resolved, target);

	target->asking = r == 0;
	if (r == -EBUSY) { /* So many at a time. */
		ask_later(target, BUSY_NS);
	} else if (r < 0) {
		target->answered = true;
		ask_failed(target, r);
	}
}

/* --- Targets. -------------------------------------------------------------------------------- */

static bool is_same(const struct target *target, const struct draft_endpoint *endpoint)
{
	return target && target->port == endpoint->port &&
	       slice_eq(slice_make(target->host, target->host_len), endpoint->host);
}

static struct target *make_target(struct targets *t, const struct draft_endpoint *endpoint)
{
	struct target *target = calloc(1, sizeof(*target));

	GW_ASSERT(endpoint->host.len <= sizeof(target->host));
	if (!target)
		return NULL;
	target->targets = t;
	target->slot = endpoint->slot;
	target->port = endpoint->port;
	target->host_len = (uint16_t)endpoint->host.len;
	memcpy(target->host, endpoint->host.ptr, endpoint->host.len);
	ring_timer_init(&target->timer, ask_again);
	return target;
}

static void retire(struct targets *t, uint32_t slot)
{
	struct target *target = t->by_slot[slot];

	t->by_slot[slot] = NULL;
	if (!target)
		return;
	ring_timer_cancel(t->opt.ring, &target->timer);
	target->gone = true;
	if (!target->asking) /* Else its answer frees it. */
		free(target);
}

/* For each slot the target that it will have. 0; or -ENOMEM, and nothing is left. */
static int plan(struct targets *t, const struct policy_draft *draft, struct target **next)
{
	for (uint32_t i = 0; i < draft->n_services; i++) {
		const struct draft_service *service = &draft->services[i];

		for (uint32_t k = 0; k < service->n_endpoints; k++) {
			const struct draft_endpoint *endpoint = &service->endpoints[k];
			struct target *old = t->by_slot[endpoint->slot];

			if (endpoint->host.len == 0)
				continue;
			next[endpoint->slot] = is_same(old, endpoint) ? old
								      : make_target(t, endpoint);
			if (!next[endpoint->slot])
				return -ENOMEM;
		}
	}
	return 0;
}

static void forget_plan(struct targets *t, struct target **next)
{
	for (uint32_t i = 0; i < POLICY_ENDPOINTS_MAX; i++)
		if (next[i] != t->by_slot[i])
			free(next[i]);
}

static void carry_out(struct targets *t, struct target **next)
{
	for (uint32_t i = 0; i < POLICY_ENDPOINTS_MAX; i++) {
		if (next[i] == t->by_slot[i])
			continue;
		retire(t, i);
		t->by_slot[i] = next[i];
	}
}

static void ask_new(struct targets *t)
{
	for (uint32_t i = 0; i < POLICY_ENDPOINTS_MAX; i++)
		if (t->by_slot[i] && !t->by_slot[i]->asked) {
			t->by_slot[i]->asked = true;
			ask(t->by_slot[i]);
		}
}

struct targets_next {
	struct target *by_slot[POLICY_ENDPOINTS_MAX];
	struct edition *edition;
	struct policy_table *table;
};

int targets_prepare(struct targets *t, struct policy_draft *draft, struct targets_next **ret_next)
{
	struct targets_next *next = calloc(1, sizeof(*next));
	int r;

	if (!next)
		return -ENOMEM;
	next->edition = calloc(1, sizeof(*next->edition));
	r = next->edition ? plan(t, draft, next->by_slot) : -ENOMEM;
	if (r == 0) {
		draft->edition = t->n_editions + 1;
		r = policy_compile(draft, &next->table);
	}
	if (r == 0 && t->opt.keyring)
		keyring_hold_table(t->opt.keyring, next->table);
	if (r == 0)
		*ret_next = next;
	else
		targets_forget(t, next);
	return r;
}

void targets_forget(struct targets *t, struct targets_next *next)
{
	forget_plan(t, next->by_slot);
	free(next->edition);
	free_table(t, next->table);
	free(next);
}

void targets_commit(struct targets *t, struct targets_next *next)
{
	carry_out(t, next->by_slot);
	publish(t, next->edition, next->table);
	ask_new(t);
	free(next);
}

int targets_open(const struct targets_options *opt, struct targets **ret_targets)
{
	struct targets *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->opt = *opt;
	list_init(&t->editions);
	r = ring_resolver_open(opt->ring, NULL, &t->resolver);
	if (r < 0) {
		free(t);
		return r;
	}
	*ret_targets = t;
	return 0;
}

bool targets_are_known(const struct targets *t)
{
	for (uint32_t i = 0; i < POLICY_ENDPOINTS_MAX; i++)
		if (t->by_slot[i] && !t->by_slot[i]->answered)
			return false;
	return true;
}

/* The resolver first: it answers what is still being asked. */
void targets_free(struct targets *t)
{
	ring_resolver_free(t->resolver);
	for (uint32_t i = 0; i < POLICY_ENDPOINTS_MAX; i++)
		retire(t, i);
	for (struct list_node *node; (node = list_pop_front(&t->editions));)
		free_edition(t, list_entry(node, struct edition, link));
	free(t);
}

uint64_t targets_n_failures(const struct targets *t)
{
	return t->n_failures;
}
