package mlflow

import (
	"net/http"
	"net/url"
	"strings"
)

// router finds the endpoint of a request. It is read only once made.
type router struct {
	exact    map[string]map[string]service // by path, then method
	patterns []pattern
}

// service is what serves a request, and what that does.
type service struct {
	serve  endpoint
	access Access
}

type pattern struct {
	parts  []string
	method string
	service
}

const (
	wildOne  = "{}"
	wildRest = "{...}"
)

func newRouter() router {
	rt := router{exact: map[string]map[string]service{}}
	for prefix, table := range tables() {
		for _, r := range table {
			to := service{r.serve, accessOf(r.method, r.path)}
			r.path = prefix + r.path
			if strings.Contains(r.path, wildOne) || strings.Contains(r.path, wildRest) {
				rt.patterns = append(rt.patterns, pattern{strings.Split(r.path, "/"), r.method, to})
				continue
			}
			if rt.exact[r.path] == nil {
				rt.exact[r.path] = map[string]service{}
			}
			rt.exact[r.path][r.method] = to
		}
	}
	return rt
}

// find gives what serves a path as it stands in the request, still escaped: an
// escaped slash is part of a name.
func (rt router) find(method, path string) (service, []string, error) {
	if len(path) > maxPath {
		return service{}, nil, failf(codeInvalidParameter, "The path of the request is longer than %d bytes", maxPath)
	}
	if methods, ok := rt.exact[path]; ok {
		if to, ok := methods[method]; ok {
			return to, nil, nil
		}
		return service{}, nil, wrongMethod(method, path)
	}
	parts := strings.Split(path, "/")
	found := false
	for _, p := range rt.patterns {
		values, ok := p.match(parts)
		if !ok {
			continue
		}
		found = true
		if p.method != method {
			continue
		}
		for i, v := range values {
			plain, err := url.PathUnescape(v)
			if err != nil {
				return service{}, nil, failf(codeInvalidParameter, "The path %q is escaped wrongly", v)
			}
			values[i] = plain
		}
		return p.service, values, nil
	}
	if found {
		return service{}, nil, wrongMethod(method, path)
	}
	return service{}, nil, notServed(path)
}

// maxPath bounds the path of a request, in bytes: that of a file of a run with
// every byte escaped fits.
const maxPath = 16 << 10

func wrongMethod(method, path string) error {
	return failf(codeEndpointNotFound, "No endpoint for %s at %s", method, path)
}

// match gives what stands in the places of the wildcards.
func (p pattern) match(parts []string) ([]string, bool) {
	var values []string
	for i, want := range p.parts {
		switch {
		case i >= len(parts):
			return nil, false
		case want == wildRest:
			return append(values, strings.Join(parts[i:], "/")), true
		case want == wildOne:
			values = append(values, parts[i])
		case want != parts[i]:
			return nil, false
		}
	}
	return values, len(parts) == len(p.parts)
}

// isRead tells whether the method changes nothing.
func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
