/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - msgpack token by token, without allocation, never beyond the bytes at hand.
 *
 * Ownership: texts point into the input. Threads: a wire belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/base/slice.h"
#include "core/document/report.h"

struct wire {
	struct slice rest;
};

enum wire_kind {
	WIRE_NULL,
	WIRE_BOOL,
	WIRE_INT,
	WIRE_FLOAT,
	WIRE_TEXT,
	WIRE_LIST,
	WIRE_MAP,
	WIRE_BYTES, /* bin */
	WIRE_EXTENSION,
};

struct wire_token {
	enum wire_kind kind;
	bool negative; /* WIRE_INT: 'number' is the magnitude. */
	bool boolean;
	uint64_t number;
	double real;
	struct slice text; /* Also of WIRE_BYTES and WIRE_EXTENSION. */
	uint32_t n;        /* Entries of a list or map. */
};

/*
 * Take the next token. 0; -ENODATA at the end of the input within a token; -EPROTO for the byte
 * 0xc1; -EMSGSIZE when a list or map claims more entries than there are bytes left.
 */
GW_MUST_USE int wire_next(struct wire *wire, struct wire_token *ret_token);
