/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric_keyed.h - the table behind a keyed counter; for metric*.c only.
 *
 * Open addressing with one writer: a cell's key is stored once (release) and
 * never changes; readers walk all cells (acquire).
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct metric_keyed_cell {
	_Atomic uint64_t key; /* 0 is an empty cell. */
	_Atomic uint64_t n;
};

struct metric_keyed_table {
	uint32_t n_cells; /* A power of two. */
	uint32_t n_used;  /* The writer's alone. */
	struct metric_keyed_cell cells[];
};

#define METRIC_KEY_USED (UINT64_C(1) << 63)

static inline uint64_t metric_key(unsigned a, unsigned b, unsigned name)
{
	return METRIC_KEY_USED | (uint64_t)a << 32 | (uint64_t)b << 16 | name;
}

static inline unsigned metric_key_a(uint64_t key)
{
	return key >> 32 & 0xff;
}

static inline unsigned metric_key_b(uint64_t key)
{
	return key >> 16 & 0xffff;
}

static inline unsigned metric_key_name(uint64_t key)
{
	return key & 0xffff;
}
