/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/upgrade.h"

#include "core/base/gw_assert.h"

static const struct slice tokens[HTTP_N_UPGRADES] = {
#define X(id, token) [HTTP_UPGRADE_##id] = SLICE_INIT(token),
	HTTP_UPGRADES(X)
#undef X
};

struct slice upgrade_token(enum http_upgrade upgrade)
{
	GW_ASSERT(upgrade > HTTP_UPGRADE_NONE && upgrade < HTTP_N_UPGRADES);
	return tokens[upgrade];
}

static enum http_upgrade of_token(struct slice token)
{
	for (int i = HTTP_UPGRADE_NONE + 1; i < HTTP_N_UPGRADES; i++)
		if (slice_eq_nocase(token, tokens[i]))
			return (enum http_upgrade)i;
	return HTTP_UPGRADE_NONE;
}

/* Upgrade counts only where Connection has it as an option (RFC 9110 7.8). */
static bool is_option(const struct http_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_FIELD_CONNECTION &&
		    slice_has_token(http_text(head, head->fields[i].value), SLICE("upgrade")))
			return true;
	return false;
}

/* All Upgrade lines are one list. The first that we know, and how many there are in all. */
static enum http_upgrade first_known(const struct http_head *head, uint32_t *ret_n)
{
	enum http_upgrade first = HTTP_UPGRADE_NONE;
	uint32_t n = 0;

	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice list, token;

		if (head->fields[i].id != HTTP_FIELD_UPGRADE)
			continue;
		list = http_text(head, head->fields[i].value);
		while (slice_next_token(&list, ',', &token)) {
			n += token.len > 0;
			if (first == HTTP_UPGRADE_NONE)
				first = of_token(token);
		}
	}
	*ret_n = n;
	return first;
}

enum http_upgrade upgrade_asked(const struct http_head *head)
{
	uint32_t n;

	/* A body would stand between the head and what follows the switch. */
	if (head->minor == 0 || head->close || head->method != HTTP_GET ||
	    head->body != HTTP_BODY_NONE)
		return HTTP_UPGRADE_NONE;
	return is_option(head) ? first_known(head, &n) : HTTP_UPGRADE_NONE;
}

bool upgrade_is_to(const struct http_head *head, enum http_upgrade asked)
{
	uint32_t n;

	return asked != HTTP_UPGRADE_NONE && head->minor > 0 && is_option(head) &&
	       first_known(head, &n) == asked && n == 1;
}
