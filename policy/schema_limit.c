/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of rate limits. */
#include "core/document/form.h"
#include "policy/limit.h"
#include "policy/schema.h"

static const struct schema_word word_rate[] = { { "rate", 0, "the number in rate" },
						{ NULL, 0, NULL } };

static int is_rate(struct slice text)
{
	uint64_t count, period_ns;

	return form_rate(text, &count, &period_ns);
}

static const struct schema_field limit_fields[] = {
	{ .key = "key",
	  SCHEMA_MEMBER(written_limit, key),
	  .type = SCHEMA_TEXT,
	  .check = limit_check_key,
	  .expected = "client_ip, header:NAME, claim:NAME, route, service or all",
	  .preset = "client_ip",
	  .help = "Of what each has a bucket of its own. client_ip: of an IPv4 address or an IPv6 "
		  "/64; behind trusted proxies, the one that they say they forward for. header: of a "
		  "field's value; requests without it, or with several, share one. claim: of "
		  "a claim in the token that the route's auth has found good. route, service: of "
		  "those that name the limit. all: there is one, shared by everything that names it. "
		  "Buckets of these three are never forgotten; of the others those are, fullest "
		  "first, of which there are more than limits.rate_keys has room for." },
	{ .key = "rate",
	  SCHEMA_MEMBER(written_limit, rate),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .check = is_rate,
	  .pattern = "^[0-9]+/[smhd]$",
	  .expected = "a number, \"/\" and s, m, h or d, such as 100/s",
	  .example = "100/s",
	  .help = "Tokens that come back in a second, minute, hour or day, evenly. A request costs one.",
	  .over = "429, rate_limited, with retry-after" },
	{ .key = "burst",
	  SCHEMA_MEMBER(written_limit, burst),
	  .type = SCHEMA_NUMBER,
	  .words = word_rate,
	  .min = 1,
	  .max = GCRA_BURST_MAX,
	  .preset = "rate",
	  .help = "Tokens that a bucket holds: so many requests may come at once." },
	{ .key = "fields",
	  SCHEMA_MEMBER(written_limit, fields),
	  .type = SCHEMA_BOOL,
	  .preset = "false",
	  .help = "Answers tell what is left, in ratelimit-policy and ratelimit "
		  "(draft-ietf-httpapi-ratelimit-headers)." },
};

const struct schema policy_limit_schema = {
	.title = "limit",
	.help = "A token bucket for each key, for all workers together. Any span of time admits at most "
		"the burst and what comes back in it; by route, service and all what comes back in 10 "
		"ms besides, since workers take of these some tokens at once.",
	.size = sizeof(struct written_limit),
	.n_fields = ARRAY_SIZE(limit_fields),
	.fields = limit_fields,
};
