/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_feature.c - asks the kernel for a ring once, and puts the answer in words.
 *
 * The line is meant for people: what is missing comes with its usual cause and
 * the knob that changes it.
 */
#include "ring/ring_feature.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "core/base/writer.h"
#include "ring/ring_setup.h"

static const struct {
	const char *name, *since, *without;
} features[] = {
#define X(name_, since_, without_) { #name_, since_, without_ },
	RING_FEATURES(X)
#undef X
};

const char *ring_feature_name(enum ring_feature_bit bit)
{
	GW_ASSERT(bit < RING_N_FEATURES);
	return features[bit].name;
}

/* --- The mask ----------------------------------------------------------------------------- */

/* "6.12" -> 6012. */
static int parse_version(struct slice text, uint32_t *ret_version)
{
	struct slice major_text, minor_text;
	uint64_t major, minor;

	if (!slice_split(text, '.', &major_text, &minor_text) ||
	    slice_to_u64(major_text, &major) < 0 || slice_to_u64(minor_text, &minor) < 0 ||
	    major > 99 || minor > 999)
		return -EINVAL;
	*ret_version = (uint32_t)(major * 1000 + minor);
	return 0;
}

static uint32_t newer_than(uint32_t version)
{
	uint32_t mask = 0, since;

	for (uint32_t i = 0; i < RING_N_FEATURES; i++) {
		if (parse_version(slice_of(features[i].since), &since) < 0)
			GW_UNREACHABLE();
		if (since > version)
			mask |= 1u << i;
	}
	return mask;
}

static int parse_word(struct slice word, uint32_t *mask)
{
	uint32_t version;

	if (parse_version(word, &version) == 0) {
		*mask |= newer_than(version);
		return 0;
	}
	for (uint32_t i = 0; i < RING_N_FEATURES; i++) {
		if (slice_eq_nocase(word, slice_of(features[i].name))) {
			*mask |= 1u << i;
			return 0;
		}
	}
	return -EINVAL;
}

/* 0, or -EINVAL with the word that means nothing. */
static int parse_mask(struct slice text, uint32_t *ret_mask, struct slice *ret_word)
{
	struct slice word;
	uint32_t mask = 0;

	while (slice_next_token(&text, ',', &word)) {
		if (word.len > 0 && parse_word(word, &mask) < 0) {
			*ret_word = word;
			return -EINVAL;
		}
	}
	*ret_mask = mask;
	return 0;
}

/* --- Refusals ----------------------------------------------------------------------------- */

/* The value of kernel.io_uring_disabled; -1 where there is none. */
static int io_uring_disabled(void)
{
	char text[8];
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text));
	close(fd);
	return n > 0 && text[0] >= '0' && text[0] <= '2' ? text[0] - '0' : -1;
}

static const char *why_not_permitted(int disabled)
{
	switch (disabled) {
	case 2:
		return "io_uring is refused: kernel.io_uring_disabled is 2, which turns it off for "
		       "everybody; set it to 0, or to 1 with this group in kernel.io_uring_group";
	case 1:
		return "io_uring is refused: kernel.io_uring_disabled is 1 and this process is not "
		       "in kernel.io_uring_group; join that group or set it to 0";
	default:
		return "io_uring is refused: a seccomp filter forbids it, as container engines do "
		       "by default; allow io_uring_setup, io_uring_enter and io_uring_register";
	}
}

static void put_no_memory(struct writer *w)
{
	struct rlimit limit = { 0 };

	writer_lit(w, "io_uring has no memory for the smallest ring: RLIMIT_MEMLOCK is ");
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
		writer_lit(w, "unlimited, so the machine or its cgroup is short of memory");
		return;
	}
	writer_u64(w, limit.rlim_cur / 1024);
	writer_lit(w, " KiB for all processes of this user; raise memlock to 8192 KiB or more");
}

static void put_refusal(struct writer *w, int error, int disabled)
{
	struct utsname name = { .release = "?" };

	switch (error) {
	case -EPERM:
	case -EACCES:
		writer_put(w, slice_of(why_not_permitted(disabled)));
		return;
	case -ENOMEM:
		put_no_memory(w);
		return;
	case -ENOSYS:
		writer_lit(w, "this kernel was built without io_uring (CONFIG_IO_URING)");
		return;
	default:
		(void)uname(&name);
		writer_lit(w, "io_uring of Linux 6.1 or newer is needed, this is ");
		writer_put(w, slice_of(name.release));
		writer_lit(w, ", which answers: ");
		writer_put(w, slice_of(strerrordesc_np(-error)));
	}
}

static void put_features(struct writer *w, uint32_t present)
{
	const char *between = "io_uring: ready; with ";

	for (uint32_t i = 0; i < RING_N_FEATURES; i++) {
		if (present & 1u << i) {
			writer_put(w, slice_of(between));
			writer_put(w, slice_of(features[i].name));
			between = ", ";
		}
	}
	if (!present)
		writer_lit(w, "io_uring: ready; with nothing newer than Linux 6.1");
	for (uint32_t i = 0; i < RING_N_FEATURES; i++) {
		if (!(present & 1u << i)) {
			writer_lit(w, "; without ");
			writer_put(w, slice_of(features[i].name));
			writer_lit(w, " (");
			writer_put(w, slice_of(features[i].without));
			writer_char(w, ')');
		}
	}
}

/* --- The probe ---------------------------------------------------------------------------- */

/* Through all the steps that a ring goes through. */
static int try_ring(uint32_t mask, uint32_t *ret_features)
{
	struct io_uring uring;
	int r = ring_setup(mask, &uring);

	if (r < 0)
		return r;
	r = ring_setup_restrict(&uring);
	if (r == 0)
		r = ring_setup_enable(&uring);
	if (r == 0)
		*ret_features = ring_setup_features(&uring, mask);
	io_uring_queue_exit(&uring);
	return r;
}

int ring_probe(struct slice mask, struct ring_probe *ret_probe)
{
	struct writer w = writer_make(ret_probe->line, sizeof(ret_probe->line) - 1);
	struct slice wrong;
	uint32_t bits;
	int r = parse_mask(mask, &bits, &wrong);

	ret_probe->features = 0;
	if (r < 0) {
		writer_lit(&w, "SLUICE_URING_MASK: neither a feature nor a kernel version: ");
		writer_put(&w, slice_take(wrong, 64));
	} else {
		r = try_ring(bits, &ret_probe->features);
		if (r == 0)
			put_features(&w, ret_probe->features);
		else
			put_refusal(&w, r, io_uring_disabled());
	}
	GW_ASSERT(!w.overflow);
	*w.ptr = '\0';
	return r;
}
