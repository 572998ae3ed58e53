/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/clock.c"

#include "base_test.h"
#include "core/base/rng.h"

static const struct {
	uint64_t second;
	const char *http, *rfc3339;
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00" },
	{ 784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37" },
	{ 951782399, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00" },
	{ 951868800, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00" },
	{ 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59" },
	{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00" },
	{ 1798761599, "Thu, 31 Dec 2026 23:59:59 GMT", "2026-12-31T23:59:59" },
};

static void known_dates_are_right(void **state)
{
	char http[CLOCK_HTTP_DATE_LEN];
	char rfc[CLOCK_RFC3339_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dates); i++) {
		uint64_t wall_ns = dates[i].second * GW_NS_PER_S + 1234567;

		clock_http_date(wall_ns, http);
		assert_slice(slice_make(http, sizeof(http)), dates[i].http);
		clock_rfc3339(wall_ns, rfc);
		assert_slice(slice_make(rfc, 19), dates[i].rfc3339);
		assert_slice(slice_make(rfc + 19, 8), ".001234Z");
	}
}

/* libc's calendar as the judge, over all representable time. */
static void random_dates_agree_with_libc(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, 3);
	for (int i = 0; i < 50000; i++) {
		uint64_t ns = rng_next(&rng);
		time_t second = (time_t)(ns / GW_NS_PER_S);
		char want[64];
		char got[CLOCK_HTTP_DATE_LEN];
		struct tm tm;

		assert_non_null(gmtime_r(&second, &tm));
		assert_int_equal(strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm),
				 CLOCK_HTTP_DATE_LEN);
		clock_http_date(ns, got);
		assert_slice(slice_make(got, sizeof(got)), want);
	}
}

static void dates_are_cached_per_second(void **state)
{
	struct clock_date cache = { 0 };

	(void)state;
	assert_slice(clock_date_at(&cache, 5), "Thu, 01 Jan 1970 00:00:00 GMT");
	cache.text[0] = 'X'; /* Proves that the same second is not formatted again. */
	assert_slice(clock_date_at(&cache, 999999999), "Xhu, 01 Jan 1970 00:00:00 GMT");
	assert_slice(clock_date_at(&cache, 1000000000), "Thu, 01 Jan 1970 00:00:01 GMT");
	assert_slice(clock_date_at(&cache, 5), "Thu, 01 Jan 1970 00:00:00 GMT"); /* Stepped back. */
}

static void clocks_run(void **state)
{
	uint64_t now_ns = gw_now_ns();
	uint64_t cpu_ns = gw_thread_cpu_ns();
	volatile unsigned work = 0; /* Only so that the loop is not optimised away. */

	(void)state;
	for (int i = 0; i < 100000; i++)
		work++;
	assert_true(gw_now_ns() > now_ns);
	assert_true(gw_thread_cpu_ns() > cpu_ns);
	assert_true(gw_wall_ns() > UINT64_C(1700000000) * GW_NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_dates_are_right),
		cmocka_unit_test(random_dates_agree_with_libc),
		cmocka_unit_test(dates_are_cached_per_second),
		cmocka_unit_test(clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
