/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/account.h"

#include "core/base/jsonw.h"
#include "core/crypto/tls.h"
#include "core/proxy/proxy.h"

static const uint8_t method_labels[HTTP_N_METHODS] = {
	[HTTP_GET] = METRIC_METHOD_GET,         [HTTP_HEAD] = METRIC_METHOD_HEAD,
	[HTTP_POST] = METRIC_METHOD_POST,       [HTTP_PUT] = METRIC_METHOD_PUT,
	[HTTP_DELETE] = METRIC_METHOD_DELETE,   [HTTP_OPTIONS] = METRIC_METHOD_OPTIONS,
	[HTTP_PATCH] = METRIC_METHOD_PATCH,     [HTTP_TRACE] = METRIC_METHOD_TRACE,
	[HTTP_CONNECT] = METRIC_METHOD_CONNECT, [HTTP_OTHER] = METRIC_METHOD_OTHER,
};

void account_begin(struct proxy *proxy, struct account *a, const struct peer *peer)
{
	uint32_t sample = proxy->options->log_sample;

	*a = (struct account){
		.begun_ns = ring_now_ns(proxy->ring),
		.peer = *peer,
		.method = HTTP_OTHER,
		.minor = 1,
		.route = METRIC_NAME_REJECTED,
		.sampled = proxy->log && sample && proxy->log_counter++ % sample == 0,
	};
}

static uint16_t copy(char *to, size_t size, struct slice from)
{
	struct slice cut = slice_take(from, size);

	if (cut.len)
		memcpy(to, cut.ptr, cut.len);
	return (uint16_t)cut.len;
}

void account_head(struct account *a, struct account_text *text, const struct http_head *head)
{
	a->method = head->method;
	a->minor = head->minor;
	if (!a->sampled)
		return;
	text->host_len = copy(text->host, ACCOUNT_HOST, http_text(head, head->host));
	text->path_len = copy(text->path, ACCOUNT_PATH, http_text(head, head->path));
}

void account_session(struct account *a, struct account_text *text, const struct tls *session)
{
	if (!a->sampled || !session)
		return;
	a->tls_cipher = tls_cipher(session);
	text->sni_len = copy(text->sni, ACCOUNT_HOST, tls_server_name(session));
}

static void count(struct proxy *proxy, const struct account *a)
{
	struct metric_set *metrics = proxy->metrics;
	unsigned scope = reason_scope(a->reason);
	uint64_t ended_ns = a->tunnel_ns ? a->tunnel_ns : a->ended_ns; /* No tunnel is a sample. */
	uint64_t received_ns = a->received_ns && !a->tunnel_ns ? a->received_ns : ended_ns;

	metric_gauge_add(metrics, METRIC_REQUESTS_ACTIVE, -1);
	if (a->tunnel_ns)
		metric_gauge_add(metrics, METRIC_TUNNELS_ACTIVE, -1);
	metric_inc_keyed(metrics, METRIC_REQUESTS, method_labels[a->method], a->status, a->route);
	metric_observe(metrics, METRIC_REQUEST_DURATION, ended_ns - a->begun_ns);
	if (a->first_byte_ns)
		metric_observe(metrics, METRIC_UPSTREAM_DURATION, received_ns - a->connected_ns);
	if (a->bytes_copied)
		metric_add(metrics, METRIC_BYTES_COPIED, a->bytes_copied);
	if (a->bytes_spliced)
		metric_add(metrics, METRIC_BYTES_SPLICED, a->bytes_spliced);
	if (a->reason == REASON_NONE)
		return;
	if (scope & REASON_SCOPE_REQUEST)
		metric_inc_label(metrics, METRIC_REJECTED, a->reason);
	if (scope & REASON_SCOPE_UPSTREAM && a->asked_upstream)
		metric_inc_keyed(metrics, METRIC_UPSTREAM_ERRORS, 0, a->reason, a->service);
}

void account_names(const struct account *account, struct account_text *text,
		   const struct policy_table *table, uint32_t route)
{
	const struct policy_route *taken = table_route(table, route);

	if (!account->sampled)
		return;
	text->route_len = copy(text->route, POLICY_NAME_MAX, table_text(table, taken->name));
	if (taken->service != POLICY_NO_SERVICE)
		text->service_len =
			copy(text->service, POLICY_NAME_MAX,
			     table_text(table, table_service(table, taken->service)->name));
}

void account_limit(const struct account *account, struct account_text *text,
		   const struct policy_table *table, const struct policy_limit *limit)
{
	if (account->sampled)
		text->limit_len =
			copy(text->limit, POLICY_NAME_MAX, table_text(table, limit->name));
}

static void record(struct proxy *proxy, const struct account *a, const struct account_text *text)
{
	struct account_record *r = log_record(proxy->log);

	if (!r)
		return;
	r->account = *a;
	r->text.host_len = copy(r->text.host, ACCOUNT_HOST, slice_make(text->host, text->host_len));
	r->text.path_len = copy(r->text.path, ACCOUNT_PATH, slice_make(text->path, text->path_len));
	r->text.id_len = copy(r->text.id, ACCOUNT_ID, slice_make(text->id, text->id_len));
	r->text.upstream_len = copy(r->text.upstream, ACCOUNT_UPSTREAM,
				    slice_make(text->upstream, text->upstream_len));
	r->text.sni_len = copy(r->text.sni, ACCOUNT_HOST, slice_make(text->sni, text->sni_len));
	r->text.route_len =
		copy(r->text.route, POLICY_NAME_MAX, slice_make(text->route, text->route_len));
	r->text.service_len = copy(r->text.service, POLICY_NAME_MAX,
				   slice_make(text->service, text->service_len));
	r->text.limit_len =
		copy(r->text.limit, POLICY_NAME_MAX, slice_make(text->limit, text->limit_len));
	r->wall_ns = gw_wall_ns() - (a->ended_ns - a->begun_ns);
	r->worker = proxy->worker;
	log_commit(proxy->log);
}

void account_close(struct proxy *proxy, struct account *a, const struct account_text *text)
{
	a->ended_ns = ring_now_ns(proxy->ring);
	count(proxy, a);
	if (a->sampled)
		record(proxy, a, text);
}

/* --- On the writer thread. ------------------------------------------------------------------- */

static const char *const enders[] = {
#define X(id, text) text,
	ACCOUNT_ENDERS(X)
#undef X
};

static const char *const phases[] = {
#define X(id, text) text,
	ACCOUNT_PHASES(X)
#undef X
};

static const struct slice tls_versions[] = {
	[0] = SLICE_INIT(""),
	[2] = SLICE_INIT("1.2"),
	[3] = SLICE_INIT("1.3"),
};

static const struct slice tls_failures[1 + METRIC_TLS_FAILURE_N] = {
	SLICE_INIT(""),
#define METRIC_LABEL_TLS_FAILURE(id, text) SLICE_INIT(text),
#include "core/base/metric_labels.def"
};

static void put_text(struct writer *out, struct slice key, struct slice value)
{
	jsonw_key(out, key);
	jsonw_string(out, value, ACCOUNT_PATH);
}

static void put_number(struct writer *out, struct slice key, uint64_t value)
{
	jsonw_key(out, key);
	writer_u64(out, value);
}

/* Milliseconds with three decimals; null when one of the moments did not come. */
static void put_span(struct writer *out, struct slice key, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t us = (to_ns - from_ns) / GW_NS_PER_US;

	jsonw_key(out, key);
	if (from_ns == 0 || to_ns < from_ns) {
		writer_lit(out, "null");
		return;
	}
	writer_u64(out, us / 1000);
	writer_char(out, '.');
	writer_padded(out, us % 1000, 3);
}

static void put_client(struct writer *out, const struct account *a)
{
	char text[PEER_TEXT];
	size_t len = peer_format(&a->peer, text);

	put_text(out, SLICE("client_ip"), slice_make(text, len));
	put_number(out, SLICE("client_port"), a->peer.port);
}

static void put_times(struct writer *out, const struct account *a)
{
	put_span(out, SLICE("duration_ms"), a->begun_ns, a->ended_ns);
	put_span(out, SLICE("upstream_connect_ms"), a->begun_ns, a->connected_ns);
	put_span(out, SLICE("request_ms"), a->connected_ns, a->sent_ns);
	put_span(out, SLICE("upstream_ttfb_ms"), a->connected_ns, a->first_byte_ns);
	put_span(out, SLICE("ttfb_ms"), a->begun_ns, a->first_byte_ns);
	put_span(out, SLICE("response_ms"), a->first_byte_ns, a->ended_ns);
}

void account_format(const void *record, struct writer *out)
{
	const struct account_record *r = record;
	const struct account *a = &r->account;
	char ts[CLOCK_RFC3339_LEN];

	clock_rfc3339(r->wall_ns, ts);
	writer_lit(out, "{\"ts\":");
	jsonw_string(out, slice_make(ts, sizeof(ts)), sizeof(ts));
	put_text(out, SLICE("request_id"), slice_make(r->text.id, r->text.id_len));
	put_client(out, a);
	put_text(out, SLICE("http_version"),
		 a->h2      ? SLICE("2")
		 : a->minor ? SLICE("1.1")
			    : SLICE("1.0"));
	put_text(out, SLICE("tls_version"), tls_versions[a->tls]);
	put_text(out, SLICE("method"), http_method_name(a->method));
	put_text(out, SLICE("host"), slice_make(r->text.host, r->text.host_len));
	put_text(out, SLICE("path"), slice_make(r->text.path, r->text.path_len));
	put_number(out, SLICE("status"), a->status);
	put_text(out, SLICE("reason"), a->reason ? reason_label(a->reason) : SLICE(""));
	put_text(out, SLICE("ended_by"), slice_of(enders[a->ender]));
	put_text(out, SLICE("ended_in"), slice_of(phases[a->phase]));
	put_number(out, SLICE("bytes_in"), a->bytes_in);
	put_number(out, SLICE("bytes_out"), a->bytes_out);
	put_number(out, SLICE("bytes_copied"), a->bytes_copied);
	put_number(out, SLICE("bytes_spliced"), a->bytes_spliced);
	put_times(out, a);
	put_text(out, SLICE("upstream_addr"), slice_make(r->text.upstream, r->text.upstream_len));
	put_number(out, SLICE("upstream_status"), a->upstream_status);
	jsonw_key(out, SLICE("upstream_reused"));
	writer_put(out, a->reused ? SLICE("true") : SLICE("false"));
	put_number(out, SLICE("retries"), a->retries);
	put_number(out, SLICE("policy_generation"), a->generation);
	put_number(out, SLICE("worker"), r->worker);
	put_text(out, SLICE("upstream_tls_version"), tls_versions[a->upstream_tls]);
	put_text(out, SLICE("upstream_tls_failure"), tls_failures[a->upstream_tls_failure]);
	put_text(out, SLICE("tls_cipher"), a->tls_cipher);
	put_text(out, SLICE("tls_sni"), slice_make(r->text.sni, r->text.sni_len));
	put_text(out, SLICE("route"), slice_make(r->text.route, r->text.route_len));
	put_text(out, SLICE("service"), slice_make(r->text.service, r->text.service_len));
	put_text(out, SLICE("limit"), slice_make(r->text.limit, r->text.limit_len));
	writer_lit(out, "}\n");
}
