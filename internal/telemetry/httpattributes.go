package telemetry

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// origin is what many requests have in common.
type origin struct {
	method, host, proto string
	secure              bool
}

// clone gives one that doesn't keep the head of the request, whose parts the texts are.
func (o origin) clone() origin {
	return origin{strings.Clone(o.method), strings.Clone(o.host), strings.Clone(o.proto), o.secure}
}

func (o origin) length() int { return len(o.method) + len(o.host) + len(o.proto) }

// alike are requests of an origin that ask for the same by the same program.
type alike struct {
	origin

	path, agent string
}

func (a alike) clone() alike {
	return alike{a.origin.clone(), strings.Clone(a.path), strings.Clone(a.agent)}
}

func (a alike) length() int { return a.origin.length() + len(a.path) + len(a.agent) }

// facts are what is told of all requests of an origin.
type facts struct {
	span    []attribute.KeyValue
	metric  []attribute.KeyValue
	metrics remembered[int, []metric.RecordOption] // by the status
}

// start is what the span of a request begins with, and what else is known of it.
type start struct {
	known *facts
	with  []trace.SpanStartOption
}

// newFacts makes the attributes.
func newFacts(o origin) *facts {
	method, known := httpMethod(o.method)
	scheme, usual := "http", 80
	if o.secure {
		scheme, usual = "https", 443
	}
	host, port := splitHostPort(o.host)
	both := []attribute.KeyValue{method, semconv.URLScheme(scheme), semconv.ServerAddress(host)}
	if port > 0 && port != usual {
		both = append(both, semconv.ServerPort(port))
	}
	name, version, _ := strings.Cut(o.proto, "/")
	if version != "" {
		both = append(both, semconv.NetworkProtocolVersion(version))
	}
	f := &facts{span: both[:len(both):len(both)], metric: both[:len(both):len(both)]}
	if !known {
		f.span = append(f.span, semconv.HTTPRequestMethodOriginal(o.method))
	}
	if name != "" {
		f.metric = append(f.metric, semconv.NetworkProtocolName(strings.ToLower(name)))
	}
	return f
}

// start gives what the span of such a request begins with: samplers see what is there from
// the beginning.
func (f *facts) start(path, agent string) []trace.SpanStartOption {
	span := f.span[:len(f.span):len(f.span)]
	if path != "" {
		span = append(span, semconv.URLPath(path))
	}
	if agent != "" {
		span = append(span, semconv.UserAgentOriginal(agent))
	}
	return []trace.SpanStartOption{serverKind, trace.WithAttributes(span...)}
}

// metricAttributes are those of a request's metrics.
func (f *facts) metricAttributes(status int) []metric.RecordOption {
	if with, ok := f.metrics.find(status); ok {
		return with
	}
	list := append(f.metric[:len(f.metric):len(f.metric)], semconv.HTTPResponseStatusCode(status))
	return f.metrics.add(status, []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(list...))})
}

// clientAttributes tell who sent the request: they are made for spans that are recorded.
func clientAttributes(r *http.Request) (list []attribute.KeyValue) {
	peer, port := splitHostPort(r.RemoteAddr)
	if peer != "" {
		list = append(list, semconv.NetworkPeerAddress(peer))
	}
	if port > 0 {
		list = append(list, semconv.NetworkPeerPort(port))
	}
	forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ",")
	if client := cmp.Or(forwarded, peer); client != "" {
		list = append(list, semconv.ClientAddress(client))
	}
	return list
}

// answerAttributes tell of the answer, likewise.
func answerAttributes(status int, read, written int64) []attribute.KeyValue {
	list := []attribute.KeyValue{semconv.HTTPResponseStatusCode(status)}
	if read > 0 {
		list = append(list, semconv.HTTPRequestBodySize(int(read)))
	}
	if written > 0 {
		list = append(list, semconv.HTTPResponseBodySize(int(written)))
	}
	return list
}

// httpMethod is the method as an attribute; whatever clients make up is one value.
func httpMethod(method string) (_ attribute.KeyValue, known bool) {
	switch method {
	case http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch,
		http.MethodPost, http.MethodPut, http.MethodTrace:
		return semconv.HTTPRequestMethodKey.String(method), true
	}
	return semconv.HTTPRequestMethodOther, false
}

// splitHostPort gives the port 0 when there is none.
func splitHostPort(address string) (host string, port int) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return strings.Trim(address, "[]"), 0
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return host, 0
	}
	return host, int(number)
}

// What clients can have remembered is bounded: so many keys, of so many bytes each.
const (
	mostRemembered    = 256
	longestRemembered = 300
)

// remembered keeps what was made for a key. Beyond a bound, which only clients reach
// that invent keys, it is made anew each time. The zero value is ready.
type remembered[K comparable, V any] struct {
	now atomic.Pointer[map[K]V]
	mu  sync.Mutex // held by who adds
}

// find gives what was made for the key. It takes no lock.
func (m *remembered[K, V]) find(key K) (value V, ok bool) {
	if all := m.now.Load(); all != nil {
		value, ok = (*all)[key]
	}
	return value, ok
}

// full tells whether nothing more is remembered. It takes no lock.
func (m *remembered[K, V]) full() bool {
	all := m.now.Load()
	return all != nil && len(*all) >= mostRemembered
}

// add gives the value, which it remembers where there is room.
func (m *remembered[K, V]) add(key K, value V) V {
	if m.full() {
		return value
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[K]V{key: value}
	if m.full() { // meanwhile
		return value
	}
	if all := m.now.Load(); all != nil {
		maps.Copy(next, *all)
	}
	m.now.Store(&next)
	return value
}
