package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/router"
)

// added are the headers that went past net/http.
type added http.Header

func (a added) AddHeader(name, value string) { http.Header(a).Add(name, value) }

// TestHeads: a client gets the same headers, whichever way they go.
func TestHeads(t *testing.T) {
	t.Parallel()
	scripted := func(header http.Header, failed bool) Scorer {
		return scorerFunc(func(context.Context, *Request) (*Response, error) {
			return &Response{Header: header, Body: []byte("{}"), Failed: failed, told: header[headerRunFailed] != nil, Elapsed: 1}, nil
		})
	}
	for name, scorer := range map[string]Scorer{
		"plain":               Handler(func(context.Context, json.RawMessage) (any, error) { return 1, nil }),
		"failed":              Handler(func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("no") }),
		"says that it failed": scripted(http.Header{headerRunFailed: {"True"}, "Content-Type": {"text/plain"}}, true),
		"says its time":       scripted(http.Header{headerRunMilliseconds: {"7"}, "X-Own": {"1", "2"}}, false),
		"says the server's":   scripted(http.Header{headerRequestID: {"other"}, headerDeployment: {"other"}, headerServerVersion: {"other"}}, false),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := StartDeployment(t.Context(), DeploymentConfig{Name: "blue", Start: func(context.Context) (Scorer, error) { return scorer, nil }})
			require.NoError(t, err)
			defer func() { require.NoError(t, d.Close(context.WithoutCancel(t.Context()))) }()
			s := NewServer(Config{})
			require.NoError(t, s.SetRoutes([]router.Route[*Deployment]{{Name: "blue", To: d, Percent: 100}}))
			ask := func(ctx context.Context) http.Header {
				r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/score", strings.NewReader("{}"))
				r.Header.Set(headerRequestID, "mine")
				r.Header.Set(headerClientID, "client")
				r.Header.Set(headerTraceID, "trace")
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				got := w.Result()
				require.NoError(t, got.Body.Close())
				return got.Header
			}
			want := ask(t.Context())
			past := added{}
			got := ask(WithHeads(t.Context(), past))
			require.NotEmpty(t, past)
			for name, values := range past {
				require.NotContains(t, got, name)
				got[name] = values
			}
			for _, header := range []http.Header{want, got} {
				if header[headerRunMilliseconds] != nil {
					require.Len(t, header[headerRunMilliseconds], 1)
					delete(header, headerRunMilliseconds) // a time
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// scorerFunc is a scorer that is always ready.
type scorerFunc func(ctx context.Context, req *Request) (*Response, error)

func (f scorerFunc) Score(ctx context.Context, req *Request) (*Response, error) { return f(ctx, req) }
func (scorerFunc) Ready() error                                                 { return nil }
func (scorerFunc) Close(context.Context) error                                  { return nil }
func (scorerFunc) Traits() Traits                                               { return Traits{} }
