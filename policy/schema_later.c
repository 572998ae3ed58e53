/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema of what a policy may say by now and nothing acts on yet: how much of a service's load
 * is taken, and what is done when it fails. It is checked, and told of as inactive.
 */
#include "core/base/clock.h"
#include "core/document/form.h"
#include "policy/schema.h"

#define LATER "Nothing acts on it yet. "

static const struct schema_word modes[] = {
	{ "adaptive", 0, NULL }, { "static", 1, NULL }, { "off", 2, NULL }, { NULL, 0, NULL }
};

#define NUMBER(type_, key_, member_, min_, max_, preset_, help_)                                   \
	{                                                                                          \
		.key = key_, SCHEMA_MEMBER(type_, member_), .type = SCHEMA_NUMBER, .min = min_,    \
		.max = max_, .preset = preset_, .help = help_                                      \
	}
#define SPAN(type_, key_, member_, preset_, help_)                                                 \
	{                                                                                          \
		.key = key_, SCHEMA_MEMBER(type_, member_), .type = SCHEMA_DURATION,               \
		.min = 10 * GW_NS_PER_MS, .max = 3600 * GW_NS_PER_S, .preset = preset_,            \
		.help = help_                                                                      \
	}
#define SCHEMA(name_, type_, title_, help_)                                                        \
	const struct schema policy_##name_##_schema = { .title = title_,                           \
							.help = LATER help_,                       \
							.size = sizeof(struct type_),              \
							.n_fields = ARRAY_SIZE(name_##_fields),    \
							.fields = name_##_fields }

static const struct schema_field load_fields[] = {
	{ .key = "mode",
	  SCHEMA_MEMBER(written_load, mode),
	  .type = SCHEMA_ENUM,
	  .words = modes,
	  .preset = "adaptive",
	  .help = "How the number is found." },
	NUMBER(written_load, "max", max, 1, 1000000, "1024", "At the most, in all."),
};
SCHEMA(load, written_load, "limit", "Requests in flight at the service.");

static const struct schema_field breaker_fields[] = {
	NUMBER(written_breaker, "consecutive", consecutive, 1, 1000000, "5",
	       "Failures of an endpoint one after the other."),
	NUMBER(written_breaker, "error_percent", error_percent, 1, 100, "50",
	       "Or so many of its requests."),
	SPAN(written_breaker, "base", base_ns, "1s", "It is left alone for so long at first,"),
	SPAN(written_breaker, "cap", cap_ns, "60s", "and for so long at the most."),
};
SCHEMA(breaker, written_breaker, "breaker", "When an endpoint is not asked any more.");

static const struct schema_field retry_fields[] = {
	NUMBER(written_retry, "attempts", attempts, 0, 5, "1",
	       "Further ones. (One is made today where a pooled connection turns out to be dead.)"),
	NUMBER(written_retry, "budget_percent", budget_percent, 0, 100, "20",
	       "Of all requests, at the most."),
};
SCHEMA(retry, written_retry, "retry", "What is tried again.");

static const struct schema_field health_fields[] = {
	{ .key = "path",
	  SCHEMA_MEMBER(written_health, path),
	  .type = SCHEMA_TEXT,
	  .check = form_canonical_path,
	  .expected = "a path in its canonical form",
	  .preset = "/health",
	  .help = "Asked for with GET." },
	SPAN(written_health, "interval", interval_ns, "2s", "Between two questions."),
	NUMBER(written_health, "fall", fall, 1, 100, "3", "Failures until it is not asked."),
	NUMBER(written_health, "rise", rise, 1, 100, "2", "Successes until it is asked again."),
};
SCHEMA(health, written_health, "health", "How endpoints are watched.");
