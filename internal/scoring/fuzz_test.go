package scoring

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/router"
)

// FuzzReadFrame: any bytes give a frame or an error, and no length makes the
// reader allocate much more than what arrived.
func FuzzReadFrame(f *testing.F) {
	var good bytes.Buffer
	_, err := writeFrame(&good, []byte(`{"status":200}`), []byte("body"))
	require.NoError(f, err)
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:15])
	f.Add([]byte("azf1\x00\x00\x00\x02\xff\xff\xff\xff{}"))
	f.Add([]byte("azf1\x00\x00\x00\x02\x3f\xff\xff\xff{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		head, body, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
		require.LessOrEqual(t, len(head)+len(body), 2*growFrame+2*len(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		_, err = writeFrame(&again, head, body)
		require.NoError(t, err)
		require.Equal(t, data[:again.Len()], again.Bytes())
	})
}

// FuzzQuery: any query gives an error or a JSON object.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "a=1&a=2", "a=[1,2]&b=%22x%22&c", "a=%ff", "a=%zz", "a;b", "=", "a=NaN", "a=" + strings.Repeat("[", 200), "a=1e999", "a=\u2028<"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		object, err := queryJSON(query)
		if err != nil {
			return
		}
		var values map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(object, &values))
	})
}

// FuzzServer: any method, query, headers and body give a proper answer, and
// every error is JSON with a message.
func FuzzServer(f *testing.F) {
	o := options{MaxBody: 1000, CORSOrigins: []string{"http://a.example"}, Requests: io.Discard}
	s := o.server()
	d, err := o.deployment(f.Context(), "main", echo)
	require.NoError(f, err)
	require.NoError(f, s.SetRoutes([]router.Route[*Deployment]{{Name: "main", To: d, Percent: 100}}))
	f.Add("POST", "/score", "a=1", "id", "client", "Bearer x", "body", "main")
	f.Add("GET", "/swagger.json", "version=3", strings.Repeat("i", 101), "", "", "", "other")
	f.Add("OPTIONS", "/score", "", "\r\nX: y", "\x00", "é", "{}", "\xff")
	f.Add("", "/versions/main/", ";", "", "", "", "\xff", "")
	f.Fuzz(func(t *testing.T, method, path, query, id, client, auth, body, version string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set(headerRequestID, id)
		r.Header.Set(headerClientID, client)
		r.Header.Set("Authorization", auth)
		r.Header.Set(headerDeployment, version)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Contains(t, []int{200, 400, 404, 405, 413, 431, 503}, w.Code)
		if w.Code >= 400 {
			var problem map[string]string
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
			require.NotEmpty(t, problem["message"])
		}
		require.LessOrEqual(t, len(w.Header().Get(headerRequestID)), maxRequestID)
	})
}

// TestFrames: what is written is read again, across the sizes at which the
// writing and the reading change.
func TestFrames(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	sizes := []int{0, 1, joinFrameBody, joinFrameBody + 1, growFrame, growFrame + 1, 5*growFrame + 3}
	for _, n := range sizes {
		body := bytes.Repeat([]byte{byte(n)}, n)
		wrote, err := writeFrame(&buf, []byte("{}"), body)
		require.NoError(t, err)
		require.Equal(t, frameHeader+2+n, wrote)
	}
	r := bufio.NewReader(&buf)
	for _, n := range sizes {
		head, body, err := readFrame(r)
		require.NoError(t, err)
		require.Equal(t, "{}", string(head))
		require.Len(t, body, n)
		require.True(t, n == 0 || body[n-1] == byte(n))
	}
	_, _, err := readFrame(r)
	require.Equal(t, io.EOF, err)
	_, err = writeFrame(io.Discard, make([]byte, maxFrameHead+1), nil)
	require.ErrorIs(t, err, errFrame)
}
