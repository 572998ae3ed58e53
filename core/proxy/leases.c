/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/leases.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct leases_shared {
	uint32_t n_workers;
	struct rate_word *words; /* By number of the bucket; */
	/* whose each is now: the generation that gave it to its holder. Read far more than written. */
	_Atomic uint32_t *since;
};

struct lease_held {
	struct rate_lease lease;
	uint32_t since; /* Of the bucket, when it was taken. */
	uint32_t next;  /* In the list of those that may have tokens left; 0: it is not there. */
};

/* In that list: a number of a bucket is one more than it is, and the last one has this. */
#define LAST UINT32_MAX
_Static_assert(POLICY_BUCKETS_MAX < LAST - 1, "numbers and marks are told apart");

/* Zeroed, when touched. */
static void *pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

#define WORDS_SIZE (POLICY_BUCKETS_MAX * sizeof(struct rate_word))
#define SINCE_SIZE (POLICY_BUCKETS_MAX * sizeof(_Atomic uint32_t))
#define HELD_SIZE  (POLICY_BUCKETS_MAX * sizeof(struct lease_held))

static void give_pages_back(void *at, size_t size)
{
	if (at)
		(void)munmap(at, size); /* Ours: cannot fail. */
}

int leases_shared_create(uint32_t n_workers, struct leases_shared **ret_shared)
{
	struct leases_shared *shared = malloc(sizeof(*shared));

	if (!shared)
		return -ENOMEM;
	*shared = (struct leases_shared){ .n_workers = n_workers,
					  .words = pages(WORDS_SIZE),
					  .since = pages(SINCE_SIZE) };
	if (!shared->words || !shared->since) {
		leases_shared_destroy(shared);
		return -ENOMEM;
	}
	*ret_shared = shared;
	return 0;
}

void leases_shared_destroy(struct leases_shared *shared)
{
	give_pages_back(shared->words, WORDS_SIZE);
	give_pages_back(shared->since, SINCE_SIZE);
	free(shared);
}

static uint32_t since_of(const struct leases_shared *shared, uint32_t bucket)
{
	GW_ASSERT(bucket < POLICY_BUCKETS_MAX);
	return atomic_load_explicit(&shared->since[bucket], memory_order_acquire);
}

/* --- A worker's. ----------------------------------------------------------------------------- */

static void settle_all(struct leases *leases)
{
	uint64_t now_ns = ring_now_ns(leases->ring);

	while (leases->first != LAST) {
		uint32_t bucket = leases->first - 1;
		struct lease_held *held = &leases->held[bucket];

		leases->first = held->next;
		held->next = 0;
		if (since_of(leases->shared, bucket) == held->since)
			rate_word_settle(&leases->shared->words[bucket], &held->lease, now_ns);
	}
}

static void settle(struct ring_timer *timer)
{
	settle_all(GW_CONTAINER_OF(timer, struct leases, settle));
}

int leases_init(struct leases *leases, struct leases_shared *shared, struct ring *ring)
{
	*leases = (struct leases){ .shared = shared, .ring = ring, .first = LAST };
	ring_timer_init(&leases->settle, settle);
	if (!shared)
		return 0;
	leases->held = pages(HELD_SIZE);
	return leases->held ? 0 : -ENOMEM;
}

void leases_fini(struct leases *leases)
{
	if (!leases->held)
		return;
	ring_timer_cancel(leases->ring, &leases->settle);
	settle_all(leases);
	give_pages_back(leases->held, HELD_SIZE);
	leases->held = NULL;
}

static void settle_later(struct leases *leases, uint32_t bucket)
{
	struct lease_held *held = &leases->held[bucket];

	if (held->next)
		return;
	if (leases->first == LAST)
		ring_timer_set(leases->ring, &leases->settle,
			       ring_now_ns(leases->ring) + RATE_LEASE_NS);
	held->next = leases->first;
	leases->first = bucket + 1;
}

/*
 * A bucket that has changed hands is full at first; who comes first sees to it. Generations grow: a
 * worker that still has the table before draws from the new bucket for these milliseconds, and does
 * not fill it once more.
 */
static void begin_bucket(struct leases_shared *shared, const struct policy_route_limit *of,
			 const struct gcra_rule *rule, uint64_t now_ns)
{
	union rate_cell *cell = &shared->words[of->bucket].cell;
	struct rate_pair full = { .tag = rate_edition(rule, now_ns) }, old;
	uint32_t before = since_of(shared, of->bucket);

	if (GW_LIKELY(before >= of->since) ||
	    !atomic_compare_exchange_strong(&shared->since[of->bucket], &before, of->since))
		return;
	do
		old = rate_cell_read(cell);
	while (!rate_cell_swap(cell, old, full));
}

void leases_take(struct leases *leases, const struct policy_route_limit *of,
		 const struct gcra_rule *rule, struct gcra_answer *ret_answer)
{
	struct lease_held *held = &leases->held[of->bucket];
	uint64_t now_ns = ring_now_ns(leases->ring);

	begin_bucket(leases->shared, of, rule, now_ns);
	if (GW_UNLIKELY(held->since != of->since)) {
		held->lease = (struct rate_lease){ 0 };
		held->since = of->since;
	}
	rate_word_take(&leases->shared->words[of->bucket], &held->lease, rule, now_ns,
		       leases->shared->n_workers, ret_answer);
	if (held->lease.left > 0)
		settle_later(leases, of->bucket);
}

/* To the lease; what was no lease goes back at once, for others to take. */
void leases_give_back(struct leases *leases, const struct policy_route_limit *of)
{
	struct lease_held *held = &leases->held[of->bucket];

	if (held->since == of->since && ++held->lease.left == 1)
		rate_word_settle(&leases->shared->words[of->bucket], &held->lease,
				 ring_now_ns(leases->ring));
}

void leases_look(const struct leases_shared *shared, const struct policy_route_limit *of,
		 const struct gcra_rule *rule, uint64_t now_ns, struct gcra_answer *ret_answer)
{
	static const struct rate_word full;
	bool is_ours = since_of(shared, of->bucket) == of->since;

	rate_word_look(is_ours ? &shared->words[of->bucket] : &full, rule, now_ns, ret_answer);
}
