/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/metric.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base/hash.h"
#include "core/base/metric_keyed.h"

static const uint8_t log2_cells_of[METRIC_N_KEYED] = {
#define METRIC_KEYED(id, name, a, b, names, log2_cells, help) [METRIC_##id] = log2_cells,
#include "core/base/metrics.def"
};

static size_t table_size(unsigned keyed)
{
	return sizeof(struct metric_keyed_table) +
	       (sizeof(struct metric_keyed_cell) << log2_cells_of[keyed]);
}

static size_t set_size(void)
{
	size_t size = bits_align_up(sizeof(struct metric_set), 64);

	for (unsigned i = 0; i < METRIC_N_KEYED; i++)
		size += bits_align_up(table_size(i), 64);
	return size;
}

int metric_create(uint32_t worker, struct metric_set **ret_set)
{
	struct metric_set *set;
	char *at;

	at = mmap(NULL, set_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	set = (struct metric_set *)at;
	set->worker = worker;
	at += bits_align_up(sizeof(*set), 64);
	for (unsigned i = 0; i < METRIC_N_KEYED; i++) {
		set->keyed[i] = (struct metric_keyed_table *)at;
		set->keyed[i]->n_cells = 1u << log2_cells_of[i];
		at += bits_align_up(table_size(i), 64);
	}
	*ret_set = set;
	return 0;
}

void metric_destroy(struct metric_set *set)
{
	GW_ASSERT(munmap(set, set_size()) == 0);
}

/* The cell of a key, or the empty one where it would go. */
static struct metric_keyed_cell *find_cell(struct metric_keyed_table *t, uint64_t key)
{
	uint32_t mask = t->n_cells - 1;
	uint32_t i = (uint32_t)hash_u64(key) & mask;

	for (;;) { /* Ends: the table is never full. */
		uint64_t found = atomic_load_explicit(&t->cells[i].key, memory_order_relaxed);

		if (found == key || found == 0)
			return &t->cells[i];
		i = (i + 1) & mask;
	}
}

/* Counts a key, if there is room below 'n_max' cells where it is new. */
static bool count_key(struct metric_keyed_table *t, uint64_t key, uint32_t n_max)
{
	struct metric_keyed_cell *cell = find_cell(t, key);

	if (atomic_load_explicit(&cell->key, memory_order_relaxed) == 0) {
		if (t->n_used >= n_max)
			return false;
		t->n_used++;
		/* Readers that see the key see a valid, if yet empty, count. */
		atomic_store_explicit(&cell->key, key, memory_order_release);
	}
	metric_bump_(&cell->n, 1);
	return true;
}

void metric_inc_keyed(struct metric_set *set, enum metric_keyed keyed, unsigned a, unsigned b,
		      unsigned name)
{
	struct metric_keyed_table *t = set->keyed[keyed];

	GW_ASSERT(a <= UINT8_MAX && b <= UINT16_MAX && name <= UINT16_MAX);
	/* The last eighth is kept for sums over the names that found no room. */
	if (count_key(t, metric_key(a, b, name), t->n_cells - t->n_cells / 8))
		return;
	if (!count_key(t, metric_key(a, b, METRIC_NAME_OTHER), t->n_cells - 1))
		metric_inc(set, METRIC_SERIES_DROPPED);
}
