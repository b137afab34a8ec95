package mlflow

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzHandler sends anything to any route: nothing breaks, every error is a
// clear one, and the server is never to blame.
func FuzzHandler(f *testing.F) {
	s := serve(f, nil)
	id := s.story()
	for prefix, table := range tables() {
		for _, r := range table {
			path := strings.NewReplacer(wildRest, "e/"+id+"/artifacts/a/b.txt", wildOne, "x").Replace(prefix + r.path)
			f.Add(r.method, path+"?run_id="+id+"&metric_key=m&path=a&experiment_id=e", `{"run_id":"`+id+`","experiment_id":"e","key":"k","value":1,"timestamp":1}`)
		}
	}
	f.Add("GET", "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x", "")
	f.Add("POST", "/api/2.0/mlflow/runs/log-batch", `{"runId":"x","metrics":[{"key":"k","value":"NaN","timestamp":"1","step":null}],"params":[{}]}`)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://x"+target, strings.NewReader(body))
		if err != nil {
			t.Skip("net/http reads no such request") // no seed is one
		}
		req.Header.Set("Content-Type", jsonType)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, req)
		require.True(t, w.Code < 500 || w.Code == http.StatusNotImplemented, "%d %s", w.Code, w.Body)
		if w.Code >= 400 && w.Code != http.StatusRequestedRangeNotSatisfiable {
			var e struct {
				Code    code   `json:"error_code"`
				Message string `json:"message"`
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			require.NotEmpty(t, e.Message)
			require.Equal(t, e.Code.status(), w.Code)
		}
	})
}

// FuzzDecode compares the reading of messages with encoding/json: both take the
// same texts for JSON, and both read the same from plain ones.
func FuzzDecode(f *testing.F) {
	type inner struct {
		S string   `json:"s"`
		L []string `json:"l"`
	}
	type message struct {
		Name   string  `json:"name"`
		Number int64   `json:"number"`
		Float  float64 `json:"float"`
		Flag   bool    `json:"flag"`
		List   []inner `json:"list"`
		One    inner   `json:"one"`
	}
	for _, seed := range []string{
		`{}`, `{"name":"x","number":-12,"float":1.5e3,"flag":true,"list":[{"s":"a","l":["b","c"]},{}],"one":{"s":"\u00e9\ud83d\ude00"}}`,
		` { "name" : "a\"b\\" , "x" : [ { "y" : "]}" } , 1 ] , "number" : 0 } `, `{"name":null}`, `{"a`, `[]`, `{"list":[null]}`, `{"one":{"s":"` + "\xff" + `"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var ours, theirs message
		err := decode([]byte(text), &ours)
		trimmed := strings.Trim(text, jsonSpace)
		if trimmed == "" || trimmed[0] == '"' {
			return // {} and an object in a string, which are ours alone
		}
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &members) != nil || members == nil {
			require.Error(t, err)
			return
		}
		if strings.ToLower(text) != text {
			return // encoding/json is not strict about the case of names
		}
		if err == nil && json.Unmarshal([]byte(text), &theirs) == nil && !strings.Contains(text, "null") {
			require.Equal(t, theirs.Name, ours.Name)
			require.Equal(t, theirs.Number, ours.Number)
			require.InDelta(t, theirs.Float, ours.Float, 0)
			require.Equal(t, theirs.Flag, ours.Flag)
		}
	})
}
