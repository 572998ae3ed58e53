/* SPDX-License-Identifier: Apache-2.0 */
/* The probe: what is there, what is hidden, and why a ring is refused, in words. */
#include "tests/unit/ring/ring_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ring/ring_feature.c"

#define BIT(name) (1u << RING_FEATURE_BIT_##name)
#define ALL       (BIT(NO_SQARRAY) | BIT(RECV_FAIR) | BIT(NO_IOWAIT))

static void masks_are_parsed(void **state)
{
	static const struct {
		const char *text;
		uint32_t mask;
		int r;
	} cases[] = {
		{ "", 0, 0 },
		{ "NO_IOWAIT", BIT(NO_IOWAIT), 0 },
		{ "no_iowait , RECV_FAIR", BIT(NO_IOWAIT) | BIT(RECV_FAIR), 0 },
		{ "6.1", ALL, 0 },
		{ "6.6", BIT(RECV_FAIR) | BIT(NO_IOWAIT), 0 },
		{ "6.12", BIT(NO_IOWAIT), 0 },
		{ "6.15", 0, 0 },
		{ "7.0", 0, 0 },
		{ "6.12,NO_SQARRAY", BIT(NO_IOWAIT) | BIT(NO_SQARRAY), 0 },
		{ ",,", 0, 0 },
		{ "NO_SUCH", 0, -EINVAL },
		{ "6.", 0, -EINVAL },
		{ "6.1.2", 0, -EINVAL },
		{ "6", 0, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice wrong = SLICE("");
		uint32_t mask = 0;
		int r = parse_mask(slice_of(cases[i].text), &mask, &wrong);

		if (r != cases[i].r || mask != cases[i].mask)
			fail_msg("%s: got %d, mask %x", cases[i].text, r, mask);
		assert_int_equal(wrong.len > 0, r < 0);
	}
}

static bool says(const struct ring_probe *probe, const char *words)
{
	return slice_find_slice(slice_of(probe->line), slice_of(words)) != SLICE_NONE;
}

static void the_probe_says_what_is_there(void **state)
{
	struct ring_probe probe;

	(void)state;
	assert_int_equal(ring_probe(SLICE(""), &probe), 0);
	assert_true(says(&probe, "io_uring: ready; with "));
	for (uint32_t i = 0; i < RING_N_FEATURES; i++)
		assert_true(says(&probe, ring_feature_name(i)));
	assert_int_equal(ring_probe(SLICE("6.1"), &probe), 0);
	assert_int_equal(probe.features, 0);
	assert_true(says(&probe, "nothing newer than Linux 6.1"));
	assert_true(says(&probe, "without NO_IOWAIT (idle time"));
	assert_int_equal(ring_probe(SLICE("bogus"), &probe), -EINVAL);
	assert_true(says(&probe, "SLUICE_URING_MASK") && says(&probe, "bogus"));
	assert_int_equal(probe.features, 0);
}

static void refusals_name_the_cause(void **state)
{
	static const struct {
		int error, disabled;
		const char *words;
	} cases[] = {
		{ -EPERM, 2, "kernel.io_uring_disabled is 2" },
		{ -EPERM, 1, "kernel.io_uring_group" },
		{ -EPERM, 0, "seccomp" },
		{ -EPERM, -1, "seccomp" },
		{ -ENOMEM, 0, "RLIMIT_MEMLOCK" },
		{ -ENOSYS, 0, "CONFIG_IO_URING" },
		{ -ENOTSUP, 0, "Linux 6.1 or newer" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ring_probe probe = { 0 };
		struct writer w = writer_make(probe.line, sizeof(probe.line) - 1);

		put_refusal(&w, cases[i].error, cases[i].disabled);
		assert_false(w.overflow);
		if (!says(&probe, cases[i].words))
			fail_msg("%s is not in: %s", cases[i].words, probe.line);
	}
}

static void the_memory_limit_is_named(void **state)
{
	struct rlimit old, low = { 64 << 10, 64 << 10 };
	struct ring_probe probe = { 0 };
	struct writer w = writer_make(probe.line, sizeof(probe.line) - 1);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	low.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	put_refusal(&w, -ENOMEM, 0);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &old), 0);
	assert_true(says(&probe, "64 KiB"));
}

/* What a container engine does: io_uring_setup(2) answers with an errno of the filter's choice. */
static void forbid_io_uring(uint32_t error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		_exit(77);
}

static int probe_under(uint32_t error, const char *words)
{
	struct ring_probe probe;
	struct ring *ring = NULL;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		forbid_io_uring(error);
		if (ring_open(&(struct ring_options){ 0 }, &ring) != -(int)error || ring)
			_exit(1);
		if (ring_probe(SLICE(""), &probe) != -(int)error || !says(&probe, words))
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_filter_is_recognised(void **state)
{
	int r = probe_under(EPERM, "seccomp");

	(void)state;
	if (r == 77) {
		skip();
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(probe_under(ENOSYS, "CONFIG_IO_URING"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_are_parsed),
		cmocka_unit_test(the_probe_says_what_is_there),
		cmocka_unit_test(refusals_name_the_cause),
		cmocka_unit_test(the_memory_limit_is_named),
		cmocka_unit_test(a_filter_is_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
