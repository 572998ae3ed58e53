/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rate_word.h"

#define WORKERS_MAX 65536u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Tokens to take at once. */
static uint32_t lease_size(const struct gcra_rule *rule, uint32_t available, uint32_t n_workers)
{
	uint64_t n = min_u64(2 * RATE_LEASE_NS / (rule->interval_ns * n_workers),
			     available / (2 * n_workers));

	return n < 2 ? 1 : (uint32_t)n;
}

static bool is_over(const struct rate_lease *lease, const struct gcra_rule *rule, uint64_t now_ns)
{
	return now_ns - lease->taken_ns >= RATE_LEASE_NS ||
	       lease->edition != rate_edition(rule, now_ns);
}

/* What the worker knows: its own tokens are as good as not taken. */
static void answer(const struct rate_lease *lease, const struct gcra_rule *rule, uint64_t now_ns,
		   struct gcra_answer *ret_answer)
{
	uint64_t tat_ns = gcra_refund(rule, lease->tat_ns, now_ns, lease->left);

	gcra_take(rule, &tat_ns, now_ns, 0, ret_answer);
}

static void begin_lease(struct rate_lease *lease, const struct gcra_rule *rule,
			struct rate_pair charged, uint64_t now_ns, uint32_t n)
{
	*lease = (struct rate_lease){ .taken_ns = now_ns,
				      .tat_ns = charged.tat_ns,
				      .interval_ns = rule->interval_ns,
				      .left = n,
				      .edition = (uint16_t)charged.tag };
}

static void use_lease(struct rate_lease *lease, const struct gcra_rule *rule, uint64_t now_ns,
		      struct gcra_answer *ret_answer)
{
	lease->left--;
	answer(lease, rule, now_ns, ret_answer);
}

static void take_lease(struct rate_word *word, struct rate_lease *lease,
		       const struct gcra_rule *rule, uint64_t now_ns, uint32_t n_workers,
		       struct gcra_answer *ret_answer)
{
	for (int i = 0; i < RATE_TRIES; i++) {
		struct rate_pair before = rate_cell_read(&word->cell);
		uint64_t tat_ns = rate_pair_tat_ns(before, rule, now_ns);
		uint32_t n = lease_size(rule, gcra_available(rule, tat_ns, now_ns), n_workers);
		struct rate_pair after = rate_pair_take(before, rule, now_ns, n, ret_answer);

		/* A refusal needs no second look at the tag: whatever it was, the TAT was too far. */
		if (!rate_pair_eq(before, after) && !rate_cell_swap(&word->cell, before, after))
			continue;
		if (ret_answer->admitted) {
			begin_lease(lease, rule, after, now_ns, n);
			use_lease(lease, rule, now_ns, ret_answer);
		}
		return;
	}
	rate_give_up(rule, ret_answer);
}

void rate_word_take(struct rate_word *word, struct rate_lease *lease, const struct gcra_rule *rule,
		    uint64_t now_ns, uint32_t n_workers, struct gcra_answer *ret_answer)
{
	GW_ASSERT(n_workers > 0 && n_workers <= WORKERS_MAX);
	if (lease->left && is_over(lease, rule, now_ns))
		rate_word_settle(word, lease, now_ns);
	if (lease->left)
		use_lease(lease, rule, now_ns, ret_answer);
	else
		take_lease(word, lease, rule, now_ns, n_workers, ret_answer);
}

void rate_word_look(const struct rate_word *word, const struct gcra_rule *rule, uint64_t now_ns,
		    struct gcra_answer *ret_answer)
{
	(void)rate_pair_take(rate_cell_read(&word->cell), rule, now_ns, 1, ret_answer);
}

void rate_word_settle(struct rate_word *word, struct rate_lease *lease, uint64_t now_ns)
{
	const struct gcra_rule paid = { .interval_ns = lease->interval_ns, .burst = lease->left };
	uint32_t n = lease->left;

	lease->left = 0;
	for (int i = 0; i < RATE_TRIES && n; i++) {
		struct rate_pair before = rate_cell_read(&word->cell);
		struct rate_pair after = before;

		if ((uint16_t)before.tag != lease->edition)
			return;
		after.tat_ns = gcra_refund(&paid, before.tat_ns, now_ns, n);
		if (rate_pair_eq(before, after) || rate_cell_swap(&word->cell, before, after))
			return;
	}
	(void)GW_COUNT_IF(n, "rate_lease_lost");
}
