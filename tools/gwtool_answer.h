/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_answer.h - what a client of 'gwtool serve' is told: a status and one value as JSON.
 *
 * Ownership: an answer owns its body until fini. Threads: one at a time.
 */
#pragma once

#include "core/document/document.h"
#include "tools/gwtool_link.h"

struct gwtool_answer {
	uint16_t status;
	const char *allow; /* The methods that there are, or NULL: not said. */
	char *body;
	size_t len;
};

/* Begins with 500, for who sets nothing. */
void gwtool_answer_init(struct gwtool_answer *a);
void gwtool_answer_fini(struct gwtool_answer *a);

void gwtool_answer_value(struct gwtool_answer *a, uint16_t status,
			 const struct document_node *value);
/* {code, path, message}; and line and column, where a place is known. */
void gwtool_answer_error(struct gwtool_answer *a, uint16_t status, struct slice code,
			 struct slice path, struct slice message);
/* The first thing that is wrong; 500 when there is none: then there was no memory. */
void gwtool_answer_report(struct gwtool_answer *a, uint16_t status, const struct report *rep);

/* With or without its body, as the last one of the connection. Who does not take it has gone. */
void gwtool_answer_send(const struct gwtool_answer *a, struct gwtool_link *link, bool head_only);

/* A value as JSON, malloced. 0; -ENOMEM; or -EFBIG beyond what a reply of the daemon may be. */
GW_MUST_USE int gwtool_answer_encode(const struct document_node *value, char **ret_text,
				     size_t *ret_len);
