/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/document/form.h"
#include "tools/gwtool_visit.h"

#define VISIT_NS (GWTOOL_VISIT_S * GW_NS_PER_S)

/* HEAD is answered as GET. */
struct endpoint {
	struct slice path;
	const char *allow;
	gwtool_manager_fn *get, *post; /* NULL: there is none. */
};

static const struct endpoint endpoints[] = {
	{ SLICE_INIT("/policy"), "GET, HEAD, POST", gwtool_manager_get, gwtool_manager_push },
	{ SLICE_INIT("/health"), "GET, HEAD", gwtool_manager_health, NULL },
};

static bool refuse(struct gwtool_answer *answer, uint16_t status, const char *code,
		   const char *message)
{
	gwtool_answer_error(answer, status, slice_of(code), SLICE(""), slice_of(message));
	return false;
}

/* --- Who asks. ------------------------------------------------------------------------------- */

static bool is_loopback_host(struct slice host)
{
	static const uint8_t v6[16] = { [15] = 1 };
	uint8_t ip[16];
	int family;

	if (slice_eq(host, SLICE("localhost")))
		return true;
	if (host.len > 2 && host.ptr[0] == '[')
		host = slice_make(host.ptr + 1, host.len - 2);
	family = form_ip(host, ip);
	return (family == AF_INET && ip[0] == 127) ||
	       (family == AF_INET6 && memcmp(ip, v6, sizeof(v6)) == 0);
}

static bool judge_client(const struct gwtool_site *site, const struct gwtool_request *req,
			 struct gwtool_answer *answer)
{
	const struct http_head *head = &req->parser.head;

	if (gwtool_request_field(req, SLICE("origin")))
		return refuse(answer, 403, "origin", "pages in a browser may ask nothing here");
	if (site->loopback && !is_loopback_host(http_text(head, head->host)))
		return refuse(answer, 403, "host_not_allowed",
			      "Host must be localhost or a loopback address");
	return true;
}

/* --- What for. ------------------------------------------------------------------------------- */

static bool is_json(const struct http_head *head)
{
	struct slice value, type, parameters;

	if (!http_only_field(head, SLICE("content-type"), &value))
		return false;
	(void)slice_split(value, ';', &type, &parameters);
	return slice_eq_nocase(slice_trim(type), SLICE("application/json"));
}

static gwtool_manager_fn *choose(const struct http_head *head, struct gwtool_answer *answer)
{
	const struct endpoint *e = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
		if (slice_eq(http_text(head, head->path), endpoints[i].path))
			e = &endpoints[i];
	if (!e) {
		(void)refuse(answer, 404, "not_found", "there are /policy and /health");
		return NULL;
	}
	if (head->method == HTTP_GET || head->method == HTTP_HEAD)
		return e->get;
	if (head->method == HTTP_POST && e->post) {
		if (is_json(head))
			return e->post;
		(void)refuse(answer, 415, "content_type", "Content-Type must be application/json");
		return NULL;
	}
	answer->allow = e->allow;
	(void)refuse(answer, 405, "method_not_allowed", "no such method here; see Allow");
	return NULL;
}

/* --- The visit. ------------------------------------------------------------------------------ */

/* Is there somebody to be told? */
static bool tell_failure(const struct gwtool_request *req, int why, struct gwtool_answer *answer)
{
	if (why == -EPROTO) {
		enum reason reason = (enum reason)req->refusal.reason;

		gwtool_answer_error(answer, req->refusal.status, reason_label(reason), SLICE(""),
				    reason_help(reason));
	} else if (why == -EFBIG) {
		(void)refuse(answer, 413, "too_large", "a policy has at most 8 MiB");
	} else if (why == -ETIMEDOUT) {
		(void)refuse(answer, 408, "timeout", "the request did not come in time");
	} else if (why == -ENOMEM) {
		(void)refuse(answer, 500, "internal", "out of memory");
	} else {
		return false;
	}
	return true;
}

/* The body, for who takes one. */
static int receive_body(struct gwtool_visit *v, struct growbuf *body)
{
	return v->req.parser.head.method == HTTP_POST
		       ? gwtool_request_read_body(&v->req, &v->link, body)
		       : 0;
}

/* A request that has come as far as it was wanted. Is there somebody to be told? */
static bool handle(struct gwtool_visit *v, struct gwtool_site *site, struct gwtool_answer *answer)
{
	struct growbuf body;
	gwtool_manager_fn *fn;
	int r = gwtool_request_read(&v->req, &v->link);

	if (r < 0)
		return tell_failure(&v->req, r, answer);
	if (!judge_client(site, &v->req, answer))
		return true;
	fn = choose(&v->req.parser.head, answer);
	if (!fn)
		return true;
	growbuf_init(&body, GWTOOL_BODY_MAX);
	r = receive_body(v, &body);
	v->link.stoppable = false; /* What has begun is answered. */
	if (r == 0)
		fn(&site->manager, growbuf_slice(&body), answer);
	growbuf_fini(&body);
	return r == 0 || tell_failure(&v->req, r, answer);
}

static void visit(struct gwtool_visit *v, struct gwtool_site *site, int fd,
		  const struct tls_credentials *credentials)
{
	struct gwtool_answer answer;
	uint64_t until_ns = gw_now_ns() + VISIT_NS;

	if (gwtool_link_open(&v->link, fd, site->stop_fd, until_ns, credentials) < 0)
		return;
	gwtool_answer_init(&answer);
	if (handle(v, site, &answer)) {
		v->link.until_ns = gw_now_ns() + VISIT_NS;
		gwtool_answer_send(&answer, &v->link, v->req.parser.head.method == HTTP_HEAD);
	}
	gwtool_answer_fini(&answer);
	gwtool_link_close(&v->link);
}

void gwtool_visit_run(struct gwtool_visit *v, struct gwtool_site *site, int fd)
{
	struct gwtool_shown *shown = gwtool_credentials_take(&site->credentials);

	visit(v, site, fd, shown ? shown->credentials : NULL);
	gwtool_credentials_give(&site->credentials, shown);
}
