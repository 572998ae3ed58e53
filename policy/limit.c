/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/limit.h"

#include <errno.h>
#include <stdlib.h>

#include "core/document/form.h"
#include "policy/compile.h"
#include "policy/slots.h"

static const struct {
	struct slice text;
	uint8_t by;
} keys[] = {
	{ SLICE_INIT("all"), POLICY_BY_ALL },
	{ SLICE_INIT("client_ip"), POLICY_BY_CLIENT_IP },
	{ SLICE_INIT("route"), POLICY_BY_ROUTE },
	{ SLICE_INIT("service"), POLICY_BY_SERVICE },
};

static int read_key(struct slice key, uint8_t *ret_by, struct slice *ret_field)
{
	*ret_field = SLICE("");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (slice_eq(key, keys[i].text)) {
			*ret_by = keys[i].by;
			return 0;
		}
	if (slice_starts_with(key, SLICE("claim:"))) {
		*ret_by = POLICY_BY_CLAIM;
		*ret_field = slice_drop(key, sizeof("claim:") - 1);
		return form_name(*ret_field);
	}
	if (!slice_starts_with(key, SLICE("header:")))
		return -EINVAL;
	*ret_by = POLICY_BY_HEADER;
	*ret_field = slice_drop(key, sizeof("header:") - 1);
	return ret_field->len <= POLICY_NAME_MAX ? form_token(*ret_field) : -EINVAL;
}

int limit_check_key(struct slice key)
{
	struct slice field;
	uint8_t by;

	return read_key(key, &by, &field);
}

struct slice limit_claim(const struct written_limit *limit)
{
	struct slice field;
	uint8_t by = POLICY_BY_ALL;
	int r = read_key(limit->key, &by, &field);

	return r == 0 && by == POLICY_BY_CLAIM ? field : SLICE("");
}

int limit_rule(const struct written_limit *written, struct gcra_rule *ret_rule)
{
	uint64_t count, period_ns;
	int r = form_rate(written->rate, &count, &period_ns);

	GW_ASSERT(r == 0); /* The schema has checked it. */
	return gcra_rule_set(count, period_ns, written->burst ? written->burst : count, ret_rule);
}

static const struct policy_limit *find(const struct policy_table *table, struct slice name)
{
	for (uint32_t i = 0; table && i < table->limits.n; i++)
		if (slice_eq(table_text(table, table_limit(table, i)->name), name))
			return table_limit(table, i);
	return NULL;
}

static bool is_same(const struct policy_table *table, const struct policy_limit *old,
		    const struct draft_limit *now)
{
	return old->by == now->by && slice_eq(table_text(table, old->field), now->field);
}

/* Buckets are charged in times of the rule's: other numbers are another edition (rate_cell.h). */
static void follow(const struct policy_limit *old, struct draft_limit *now)
{
	bool changed = old->rule.interval_ns != now->rule.interval_ns ||
		       old->rule.tolerance_ns != now->rule.tolerance_ns;

	now->identity = old->identity;
	now->rule.edition = (uint16_t)(old->rule.edition + changed);
	now->rule.edition_from_ns = changed ? POLICY_WHEN_OFFERED : old->rule.edition_from_ns;
}

static void draw(const struct written_limit *from, const struct policy_table *before,
		 uint64_t identity, struct draft_limit *to)
{
	const struct policy_limit *old = find(before, from->name);
	struct slice field = SLICE("");
	int r;

	*to = (struct draft_limit){ .name = from->name,
				    .told = from->fields,
				    .identity = identity };
	r = read_key(from->key, &to->by, &field);
	GW_ASSERT(r == 0);
	to->field = field;
	r = limit_rule(from, &to->rule);
	GW_ASSERT(r == 0); /* Checked when it was read. */
	if (old && before && is_same(before, old, to))
		follow(old, to);
}

/* Who goes by another key is another one, and so is its slot. */
static struct slot_name *old_names(const struct policy_table *table, uint32_t *ret_n)
{
	uint32_t n = table ? table->limits.n : 0;
	struct slot_name *list = calloc(n + 1, sizeof(*list));

	*ret_n = n;
	for (uint32_t i = 0; list && i < n; i++)
		list[i] =
			(struct slot_name){ .name = table_text(table, table_limit(table, i)->name),
					    .slot = table_limit(table, i)->slot };
	return list;
}

static int assign(const struct policy_table *before, struct draft_limit *limits, uint32_t n,
		  uint32_t *cursor)
{
	uint32_t n_old;
	struct slot_name *old = old_names(before, &n_old), *now = calloc(n + 1, sizeof(*now));
	int r = old && now ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < n; i++)
		now[i] = (struct slot_name){ .name = limits[i].name, .i = i };
	if (r == 0)
		r = slots_assign(old, n_old, now, n, POLICY_LIMITS_MAX, cursor);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		limits[now[i].i].slot = now[i].slot;
	free(old);
	free(now);
	return r;
}

int limits_draw(const struct written_policy *policy, const struct policy_table *before,
		uint32_t generation, struct draft_limit *limits, uint32_t *cursor)
{
	for (uint32_t i = 0; i < policy->n_limits; i++)
		draw(&policy->limits[i], before, (uint64_t)generation << 16 | i, &limits[i]);
	return assign(before, limits, policy->n_limits, cursor);
}
