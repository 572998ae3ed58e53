/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/logring.c"

#include "base_test.h"
#include "core/base/thread.h"

static void records_come_in_order(void **state)
{
	struct logring r;
	uint64_t put = 0;
	uint64_t got = 0;

	(void)state;
	assert_int_equal(logring_init(&r, 12, 3), 0); /* Rounded up: 16 bytes, 4 records. */
	assert_true(logring_is_empty(&r));
	assert_null(logring_peek(&r));
	for (int round = 0; round < 100; round++) {
		uint64_t *slot;
		const uint64_t *record;

		while ((slot = logring_reserve(&r))) {
			*slot = put++;
			logring_commit(&r);
		}
		assert_int_equal(put - got, 4);
		assert_false(logring_is_empty(&r));
		for (int i = 0; i <= round % 4; i++) {
			record = logring_peek(&r);
			assert_ptr_equal(logring_peek(&r), record);
			assert_int_equal(*record, got++);
			logring_pop(&r);
		}
	}
	logring_fini(&r);
}

static void positions_wrap(void **state)
{
	struct logring r;

	(void)state;
	assert_int_equal(logring_init(&r, 8, 8), 0);
	atomic_store(&r.tail, UINT32_MAX - 2);
	atomic_store(&r.head, UINT32_MAX - 2);
	r.head_seen = UINT32_MAX - 2;
	r.tail_seen = UINT32_MAX - 2;
	for (uint64_t i = 0; i < 8; i++) {
		*(uint64_t *)logring_reserve(&r) = i;
		logring_commit(&r);
	}
	assert_null(logring_reserve(&r));
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(*(const uint64_t *)logring_peek(&r), i);
		logring_pop(&r);
	}
	assert_null(logring_peek(&r));
	logring_fini(&r);
}

static void uncommitted_is_unseen(void **state)
{
	struct logring r;
	void *slot;

	(void)state;
	assert_int_equal(logring_init(&r, 8, 2), 0);
	slot = logring_reserve(&r);
	assert_non_null(slot);
	assert_null(logring_peek(&r));
	assert_ptr_equal(logring_reserve(&r), slot); /* Given up: the same again. */
	logring_fini(&r);
}

static void pop_from_empty(void)
{
	struct logring r;

	if (logring_init(&r, 8, 2) == 0)
		logring_pop(&r);
}

static void commit_when_full(void)
{
	struct logring r;

	if (logring_init(&r, 8, 2) < 0)
		return;
	for (int i = 0; i < 3; i++)
		logring_commit(&r);
}

static void misuse_traps(void **state)
{
	(void)state;
	assert_traps(pop_from_empty);
	assert_traps(commit_when_full);
}

#define N_RECORDS 500000u

struct record {
	uint64_t number;
	uint64_t check; /* ~number: a torn record would show. */
};

static void produce(void *arg)
{
	struct logring *r = arg;

	for (uint64_t i = 0; i < N_RECORDS;) {
		struct record *record = logring_reserve(r);

		if (!record)
			continue;
		*record = (struct record){ i, ~i };
		logring_commit(r);
		i++;
	}
}

static void two_threads_agree(void **state)
{
	struct logring r;
	struct thread t;

	(void)state;
	assert_int_equal(logring_init(&r, sizeof(struct record), 64), 0);
	assert_int_equal(thread_start(&t, "producer", THREAD_ANY_CPU, produce, &r), 0);
	for (uint64_t i = 0; i < N_RECORDS;) {
		const struct record *record = logring_peek(&r);

		if (!record)
			continue;
		assert_true(record->number == i && record->check == ~i);
		logring_pop(&r);
		i++;
	}
	thread_join(&t);
	assert_true(logring_is_empty(&r));
	logring_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_order), cmocka_unit_test(positions_wrap),
		cmocka_unit_test(uncommitted_is_unseen), cmocka_unit_test(misuse_traps),
		cmocka_unit_test(two_threads_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
