/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_event.h - the binary record of an event and its JSON line; for log*.c only.
 *
 * Threads: pure functions over the caller's record, but for the site's counters,
 * which any thread may move.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/log.h"

struct log_event_value {
	const char *key;
	uint64_t number;
	uint16_t type;
	uint16_t text_at;
	uint16_t text_len;
};

struct log_event_record {
	uint64_t wall_ns;
	const struct log_site *site;
	uint32_t worker; /* UINT32_MAX: not shown. */
	uint32_t n_suppressed;
	uint16_t n_values;
	uint16_t text_len;
	struct log_event_value values[LOG_MAX_FIELDS];
	char text[LOG_EVENT_TEXT_SIZE];
};

/* May this site log now? If so, how many of its lines were left out before. */
bool log_event_passes(struct log_site *site, uint64_t now_ns, uint32_t *ret_n_suppressed);
/* Copies the fields, cutting strings where the room ends. */
void log_event_fill(struct log_event_record *record, const struct log_field *fields,
		    uint32_t n_fields);
/* One line, line end included. */
void log_event_format(const void *record, struct writer *out);
