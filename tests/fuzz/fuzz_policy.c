/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack to policies: what is taken becomes a table that holds together, also behind another one;
 * printed as YAML and sent as msgpack it is the same policy and, to the byte, the same table. What
 * is refused says why, and leaves nothing behind (the sanitizers count).
 */
#include <errno.h>
#include <stdlib.h>

#include "core/document/decode.h"
#include "core/document/emit.h"
#include "core/document/encode.h"
#include "core/document/yaml.h"
#include "policy/compile.h"
#include "policy/draw.h"
#include "policy/keyring.h"
#include "policy/read.h"

enum { INPUT_MAX = 32 << 10, ROOM = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char texts[2][ROOM], packed[ROOM];

/* NULL: refused. Room is what a good policy needs; a bad one may end for want of it. */
static struct written_policy *read_one(const struct document *doc, size_t room)
{
	struct written_policy *policy = NULL;
	struct report rep;
	int r;

	report_init(&rep, NULL);
	r = policy_read(document_root(doc), room, &rep, &policy);
	if (r == -ENOMEM) {
		report_init(&rep, NULL);
		r = policy_read(document_root(doc), room * 16, &rep, &policy);
		GW_ASSERT(r < 0);
	}
	GW_ASSERT(r == 0 || r == -EINVAL);
	GW_ASSERT((r == 0) == report_is_clean(&rep));
	GW_ASSERT((r == 0) == (policy != NULL));
	return policy;
}

/* Its rings go when a draft does: nobody uses these tables. */
static struct keyring *keyring(void)
{
	static struct keyring *one;

	if (!one)
		GW_ASSERT(keyring_create(1, &one) == 0);
	return one;
}

static struct policy_table *compile(const struct written_policy *policy,
				    const struct policy_table *before)
{
	struct draw_options opt = { .before = before,
				    .keyring = keyring(),
				    .generation = before ? before->generation + 1 : 1,
				    .n_workers = 2,
				    .max_idle_all = 100 };
	struct policy_table *table;
	struct policy_draft *draft;

	GW_ASSERT(policy_draw(policy, &opt, &draft) == 0);
	GW_ASSERT(policy_compile(draft, &table) == 0);
	policy_draw_free(draft);
	table_check(table);
	GW_ASSERT(table->generation == opt.generation && table->routes.n == policy->n_routes);
	return table;
}

static struct slice print(const struct written_policy *policy, char *room)
{
	struct writer w = writer_make(room, ROOM);

	emit_yaml(&w, &policy_schema, policy);
	GW_ASSERT(!w.overflow);
	return writer_slice(&w);
}

/* The policy that is printed there, by way of msgpack. */
static struct written_policy *read_back(struct slice text)
{
	struct pack p = pack_make(packed, ROOM);
	struct written_policy *policy;
	struct document *doc;
	struct report rep;

	report_init(&rep, NULL);
	GW_ASSERT(yaml_read(text, &rep, &doc) == 0);
	encode_msgpack(&p, document_root(doc));
	GW_ASSERT(!p.w.overflow);
	document_free(doc);
	GW_ASSERT(decode_read(writer_slice(&p.w), &rep, &doc) == 0);
	policy = read_one(doc, writer_len(&p.w));
	document_free(doc);
	GW_ASSERT(policy);
	return policy;
}

static void check_round(const struct written_policy *policy, const struct policy_table *table)
{
	struct slice first = print(policy, texts[0]);
	struct written_policy *back;
	struct policy_table *again;

	if (first.len > DOCUMENT_TEXT_MAX)
		return;
	back = read_back(first);
	GW_ASSERT(slice_eq(first, print(back, texts[1])));
	again = compile(back, NULL);
	GW_ASSERT(again->size == table->size && memcmp(again, table, table->size) == 0);
	free(again);
	policy_read_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct written_policy *policy;
	struct policy_table *table;
	struct document *doc;
	struct report rep;

	report_init(&rep, NULL);
	if (len > INPUT_MAX || decode_read(slice_make(data, len), &rep, &doc) < 0)
		return 0;
	policy = read_one(doc, len);
	document_free(doc); /* Of which the policy keeps nothing. */
	if (!policy)
		return 0;
	table = compile(policy, NULL);
	free(compile(policy, table));
	check_round(policy, table);
	free(table);
	policy_read_free(policy);
	return 0;
}
