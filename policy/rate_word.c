/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/rate_word.h"

#define WORKERS_MAX 65536u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* As a table's cell has a key there: the high 48 bits. */
static uint64_t tag_of(uint32_t owner, const struct gcra_rule *rule, uint64_t now_ns)
{
	return (uint64_t)owner << 16 | rate_edition(rule, now_ns);
}

static uint64_t owner_of(uint64_t tag)
{
	return tag >> 16;
}

/* What the owner has there: as it was read, or a full bucket when it was somebody's before. */
static struct rate_pair own_pair(struct rate_pair pair, uint64_t tag)
{
	return owner_of(pair.tag) < owner_of(tag) ? (struct rate_pair){ .tag = tag } : pair;
}

/* Tokens to take at once. */
static uint32_t lease_size(const struct gcra_rule *rule, uint32_t available, uint32_t n_workers)
{
	uint64_t n = min_u64(2 * RATE_LEASE_NS / (rule->interval_ns * n_workers),
			     available / (2 * n_workers));

	return n < 2 ? 1 : (uint32_t)n;
}

static bool is_over(const struct rate_lease *lease, uint64_t tag, uint64_t now_ns)
{
	return now_ns - lease->taken_ns >= RATE_LEASE_NS || lease->tag != tag;
}

/* What the worker knows: its own tokens are as good as not taken. */
static void answer(const struct rate_lease *lease, const struct gcra_rule *rule, uint64_t now_ns,
		   struct gcra_answer *ret_answer)
{
	uint64_t tat_ns = gcra_refund(rule, lease->tat_ns, now_ns, lease->left);

	gcra_take(rule, &tat_ns, now_ns, 0, ret_answer);
}

static void use_lease(struct rate_lease *lease, const struct gcra_rule *rule, uint64_t now_ns,
		      struct gcra_answer *ret_answer)
{
	lease->left--;
	answer(lease, rule, now_ns, ret_answer);
}

static void begin_lease(struct rate_lease *lease, const struct gcra_rule *rule,
			struct rate_pair charged, uint64_t now_ns, uint32_t n)
{
	*lease = (struct rate_lease){ .taken_ns = now_ns,
				      .tag = charged.tag,
				      .tat_ns = charged.tat_ns,
				      .interval_ns = rule->interval_ns,
				      .left = n };
}

static bool take_lease(struct rate_word *word, struct rate_lease *lease,
		       const struct rate_taker *taker, uint64_t now_ns,
		       struct gcra_answer *ret_answer)
{
	const struct gcra_rule *rule = taker->rule;
	uint64_t tag = tag_of(taker->owner, rule, now_ns);

	for (int i = 0; i < RATE_TRIES; i++) {
		struct rate_pair seen = rate_cell_read(&word->cell), before = own_pair(seen, tag);
		uint64_t tat_ns = rate_pair_tat_ns(before, rule, now_ns);
		uint32_t n =
			lease_size(rule, gcra_available(rule, tat_ns, now_ns), taker->n_workers);
		struct rate_pair after = rate_pair_take(before, rule, now_ns, n, ret_answer);

		if (owner_of(seen.tag) > owner_of(tag)) /* We are late. */
			break;
		/* A refusal needs no second look at the tag: whatever it was, the TAT was too far. */
		if (!rate_pair_eq(before, after) && !rate_cell_swap(&word->cell, seen, after))
			continue;
		if (ret_answer->admitted) {
			begin_lease(lease, rule, after, now_ns, n);
			use_lease(lease, rule, now_ns, ret_answer);
		}
		return true;
	}
	rate_give_up(rule, ret_answer);
	return false;
}

bool rate_word_take(struct rate_word *word, struct rate_lease *lease,
		    const struct rate_taker *taker, uint64_t now_ns, struct gcra_answer *ret_answer)
{
	GW_ASSERT(taker->n_workers > 0 && taker->n_workers <= WORKERS_MAX);
	if (lease->left && is_over(lease, tag_of(taker->owner, taker->rule, now_ns), now_ns))
		rate_word_settle(word, lease, now_ns);
	if (lease->left == 0)
		return take_lease(word, lease, taker, now_ns, ret_answer);
	use_lease(lease, taker->rule, now_ns, ret_answer);
	return true;
}

void rate_word_look(const struct rate_word *word, uint32_t owner, const struct gcra_rule *rule,
		    uint64_t now_ns, struct gcra_answer *ret_answer)
{
	struct rate_pair pair = own_pair(rate_cell_read(&word->cell), tag_of(owner, rule, now_ns));

	(void)rate_pair_take(pair, rule, now_ns, 1, ret_answer);
}

void rate_word_refund(struct rate_word *word, struct rate_lease *lease, uint32_t owner,
		      uint64_t now_ns)
{
	if (owner_of(lease->tag) != owner)
		return;
	/* What was no lease goes back at once, for others to take. */
	if (++lease->left == 1)
		rate_word_settle(word, lease, now_ns);
}

void rate_word_settle(struct rate_word *word, struct rate_lease *lease, uint64_t now_ns)
{
	const struct gcra_rule paid = { .interval_ns = lease->interval_ns, .burst = lease->left };
	uint32_t n = lease->left;

	lease->left = 0;
	for (int i = 0; i < RATE_TRIES && n; i++) {
		struct rate_pair before = rate_cell_read(&word->cell);
		struct rate_pair after = before;

		if (before.tag != lease->tag)
			return;
		after.tat_ns = gcra_refund(&paid, before.tat_ns, now_ns, n);
		if (rate_pair_eq(before, after) || rate_cell_swap(&word->cell, before, after))
			return;
	}
	(void)GW_COUNT_IF(n, "rate_lease_lost");
}
