/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_ring.c - a ring from opening to the end, and its turns.
 *
 * A turn lets the world go on to the next event (and what is due within the
 * batch's span), hands out answers, then words from other rings, then timers.
 */
#include "tests/sim/sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static struct ring_options options_of(const struct ring_options *opt)
{
	struct ring_options o = *opt;

	o.files_max = or_default(o.files_max, 1024);
	o.bufs_max = or_default(o.bufs_max, 1024);
	o.bufs_posted = or_default(o.bufs_posted, 256);
	o.pipes_max = or_default(o.pipes_max, 64);
	o.turn_answers = or_default(o.turn_answers, 512);
	return o;
}

int ring_open(const struct ring_options *opt, struct ring **ret_ring)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	GW_ASSERT(ring);
	ring->ring_opt = options_of(opt);
	ring->opt = (struct sim_options){ .send_size = 65536,
					  .window_size = 65536,
					  .pipe_size = RING_PIPE_SIZE,
					  .steps_max = UINT64_MAX };
	ring->now_ns = UINT64_C(1000000000);
	ring->next_port = 32768;
	rng_seed(&ring->rng, 0);
	ring->n_slots = ring->ring_opt.files_max * 4 + 64;
	ring->slots = calloc(ring->n_slots, sizeof(*ring->slots));
	ring->files = calloc(ring->ring_opt.files_max, sizeof(*ring->files));
	GW_ASSERT(ring->slots && ring->files);
	for (uint32_t i = 0; i < ring->ring_opt.files_max; i++)
		list_init(&ring->files[i].ops);
	list_init(&ring->soon);
	list_init(&ring->next);
	list_init(&ring->timers);
	list_init(&ring->timers_due);
	list_init(&ring->conns);
	list_init(&ring->listeners);
	list_init(&ring->hosts);
	sim_buf_open(ring);
	sim_pipe_open(ring);
	*ret_ring = ring;
	return 0;
}

void sim_configure(struct ring *ring, const struct sim_options *opt)
{
	GW_ASSERT(opt->pipe_size > 0 && opt->pipe_size <= RING_PIPE_SIZE);
	GW_ASSERT(opt->send_size > 0 && opt->window_size > 0);
	ring->opt = *opt;
	rng_seed(&ring->rng, opt->seed);
}

int ring_enable(struct ring *ring)
{
	(void)ring;
	return 0;
}

void sim_on_step(struct ring *ring, sim_check_fn *fn, void *owner)
{
	ring->check = fn;
	ring->check_owner = owner;
}

/* What is left of closing is the kernel's business; everything else is a leak. */
static void finish_closing(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->ring_opt.files_max; i++) {
		struct sim_file *f = &ring->files[i];

		if (f->state == SIM_FILE_CLOSING && sim_event_waits(&f->close)) {
			sim_event_drop(ring, &f->close);
			f->close.run(ring, &f->close);
		}
		GW_ASSERT(f->state == SIM_FILE_FREE); /* Never closed. */
	}
}

void ring_free(struct ring *ring)
{
	GW_ASSERT(ring->n_armed == 0);
	GW_ASSERT(list_is_empty(&ring->timers) && list_is_empty(&ring->timers_due));
	finish_closing(ring);
	GW_ASSERT(ring->n_files == 0 && ring->n_answers == 0);
	sim_net_free(ring);
	sim_pipe_free(ring);
	sim_buf_free(ring);
	free(ring->heap);
	free(ring->slots);
	free(ring->files);
	free(ring->answers);
	free(ring->mail);
	free(ring);
}

static uint64_t next_due_ns(struct ring *ring)
{
	const struct sim_event *event = sim_event_first(ring);
	const struct list_node *timer = list_first(&ring->timers);
	uint64_t due_ns = event ? event->due_ns : UINT64_MAX;

	if (timer) {
		uint64_t tick = list_entry(timer, struct ring_timer, due.node)->due.tick;

		due_ns = tick * WHEEL_TICK_NS < due_ns ? tick * WHEEL_TICK_NS : due_ns;
	}
	return due_ns;
}

static void run_events(struct ring *ring)
{
	struct sim_event *event;

	while ((event = sim_event_first(ring)) && event->due_ns <= ring->now_ns) {
		sim_event_drop(ring, event);
		if (++ring->counts.steps > ring->opt.steps_max)
			sim_fail(ring, "livelock: still busy after %llu events",
				 (unsigned long long)ring->opt.steps_max);
		event->run(ring, event);
	}
}

static void deliver_mail(struct ring *ring)
{
	uint32_t n = ring->n_mail;

	for (uint32_t i = 0; i < n; i++) {
		ring->post(ring->post_owner, ring->mail[i]);
		if (ring->check)
			ring->check(ring->check_owner);
	}
	ring->n_mail -= n; /* Those posted meanwhile stay for the next turn. */
	if (ring->n_mail > 0)
		memmove(ring->mail, ring->mail + n, ring->n_mail * sizeof(*ring->mail));
}

/* Nothing is held back here. */
void ring_flush(struct ring *ring)
{
	(void)ring;
}

int ring_turn(struct ring *ring, uint64_t wait_ns_max)
{
	uint64_t due_ns = next_due_ns(ring);
	uint64_t until_ns = wait_ns_max < UINT64_MAX - ring->now_ns ? ring->now_ns + wait_ns_max
								    : UINT64_MAX;
	bool waits;

	ring->stats.enters++;
	list_splice_back(&ring->soon, &ring->next);
	waits = ring->n_answers == 0 && list_is_empty(&ring->soon) && ring->n_mail == 0;
	sim_buf_refill(ring);
	sim_ops_feed(ring);
	due_ns = due_ns < until_ns ? due_ns : until_ns;
	if (waits && due_ns > ring->now_ns && due_ns < UINT64_MAX)
		ring->now_ns = due_ns;
	if (ring->opt.batch_ns > 0)
		ring->now_ns += sim_pick(ring, ring->opt.batch_ns);
	run_events(ring);
	sim_ops_deliver(ring, ring->ring_opt.turn_answers);
	deliver_mail(ring);
	sim_timer_run_due(ring);
	return 0;
}

uint64_t ring_now_ns(const struct ring *ring)
{
	return ring->now_ns;
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
	return &ring->stats;
}

const struct sim_counts *sim_counts(const struct ring *ring)
{
	return &ring->counts;
}

void ring_on_post(struct ring *ring, ring_post_fn *fn, void *owner)
{
	ring->post = fn;
	ring->post_owner = owner;
}

int ring_post(struct ring *from, struct ring *to, uint64_t word)
{
	GW_ASSERT(to->post);
	if (sim_chance(from, from->opt.faults.post_again))
		return -EAGAIN;
	if (to->n_mail == to->mail_max) {
		to->mail_max = to->mail_max ? 2 * to->mail_max : 16;
		to->mail = realloc(to->mail, to->mail_max * sizeof(*to->mail));
		GW_ASSERT(to->mail);
	}
	to->mail[to->n_mail++] = word;
	from->stats.posts++;
	return 0;
}
