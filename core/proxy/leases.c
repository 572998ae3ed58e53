/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/leases.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct leases_shared {
	uint32_t n_workers;
	struct rate_word *words; /* By number of the bucket. */
};

struct lease_held {
	struct rate_lease lease;
	uint32_t next; /* In the list of those that may have tokens left; 0: it is not there. */
};

/* In that list: a bucket is its number plus one, and behind the last one comes this. */
#define LIST_END UINT32_MAX
_Static_assert(POLICY_BUCKETS_MAX < LIST_END - 1, "numbers and marks are told apart");

#define WORDS_SIZE (POLICY_BUCKETS_MAX * sizeof(struct rate_word))
#define HELD_SIZE  (POLICY_BUCKETS_MAX * sizeof(struct lease_held))

/* Zeroed. Small pages: of most of it nothing is ever touched. */
static void *reserve(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	(void)madvise(at, size, MADV_NOHUGEPAGE);
	return at;
}

int leases_shared_create(uint32_t n_workers, struct leases_shared **ret_shared)
{
	struct leases_shared *shared = malloc(sizeof(*shared));

	if (!shared)
		return -ENOMEM;
	*shared = (struct leases_shared){ .n_workers = n_workers, .words = reserve(WORDS_SIZE) };
	if (!shared->words) {
		free(shared);
		return -ENOMEM;
	}
	*ret_shared = shared;
	return 0;
}

void leases_shared_destroy(struct leases_shared *shared)
{
	(void)munmap(shared->words, WORDS_SIZE); /* Ours: cannot fail. */
	free(shared);
}

static struct rate_word *word_of(const struct leases_shared *shared, uint32_t bucket)
{
	GW_ASSERT(bucket < POLICY_BUCKETS_MAX);
	return &shared->words[bucket];
}

/* --- A worker's. ----------------------------------------------------------------------------- */

static void settle_all(struct leases *leases)
{
	uint64_t now_ns = ring_now_ns(leases->ring);

	while (leases->first != LIST_END) {
		uint32_t bucket = leases->first - 1;
		struct lease_held *held = &leases->held[bucket];

		leases->first = held->next;
		held->next = 0;
		rate_word_settle(word_of(leases->shared, bucket), &held->lease, now_ns);
	}
}

static void settle(struct ring_timer *timer)
{
	settle_all(GW_CONTAINER_OF(timer, struct leases, settle));
}

int leases_init(struct leases *leases, struct leases_shared *shared, struct ring *ring)
{
	*leases = (struct leases){ .shared = shared, .ring = ring, .first = LIST_END };
	ring_timer_init(&leases->settle, settle);
	if (!shared)
		return 0;
	leases->held = reserve(HELD_SIZE);
	return leases->held ? 0 : -ENOMEM;
}

void leases_fini(struct leases *leases)
{
	if (!leases->held)
		return;
	ring_timer_cancel(leases->ring, &leases->settle);
	settle_all(leases);
	(void)munmap(leases->held, HELD_SIZE); /* Ours: cannot fail. */
	leases->held = NULL;
}

static void settle_later(struct leases *leases, uint32_t bucket)
{
	struct lease_held *held = &leases->held[bucket];

	if (held->next)
		return;
	if (leases->first == LIST_END)
		ring_timer_set(leases->ring, &leases->settle,
			       ring_now_ns(leases->ring) + RATE_LEASE_NS);
	held->next = leases->first;
	leases->first = bucket + 1;
}

bool leases_take(struct leases *leases, const struct policy_route_limit *limit,
		 const struct gcra_rule *rule, struct gcra_answer *ret_answer)
{
	const struct rate_taker taker = { limit->since, leases->shared->n_workers, rule };
	struct rate_word *word = word_of(leases->shared, limit->bucket);
	struct rate_lease *lease = &leases->held[limit->bucket].lease;
	bool judged = rate_word_take(word, lease, &taker, ring_now_ns(leases->ring), ret_answer);

	if (lease->left > 0)
		settle_later(leases, limit->bucket);
	return judged;
}

void leases_give_back(struct leases *leases, const struct policy_route_limit *limit)
{
	rate_word_refund(word_of(leases->shared, limit->bucket), &leases->held[limit->bucket].lease,
			 limit->since, ring_now_ns(leases->ring));
}

void leases_look(const struct leases_shared *shared, const struct policy_route_limit *limit,
		 const struct gcra_rule *rule, uint64_t now_ns, struct gcra_answer *ret_answer)
{
	rate_word_look(word_of(shared, limit->bucket), limit->since, rule, now_ns, ret_answer);
}
