/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/limit.h"

#include <errno.h>

#include "core/document/form.h"
#include "policy/compile.h"

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

void limits_draw(const struct written_policy *policy, const struct policy_table *before,
		 uint32_t generation, struct draft_limit *limits)
{
	for (uint32_t i = 0; i < policy->n_limits; i++)
		draw(&policy->limits[i], before, (uint64_t)generation << 16 | i, &limits[i]);
}
