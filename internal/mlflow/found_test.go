package mlflow

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/index"
)

// TestShownAgain changes what searches have shown before: they show it as a
// server does that has shown nothing.
func TestShownAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	post[object](s, "registered-models/create", object{"name": "m"})
	post[object](s, "model-versions/create", object{"name": "m", "source": "runs:/" + id + "/a", "run_id": id})
	logged := post[loggedModelResponse](s, "logged-models", object{"experiment_id": "e", "name": "l"}).Model.Info.ModelID
	searches := map[string]func(*served) answer{
		"runs":        posted("runs/search", object{"experiment_ids": []string{"e"}, "run_view_type": "ALL"}),
		"experiments": posted("experiments/search", object{"view_type": "ALL", "max_results": 10}),
		"versions": func(s *served) answer {
			return s.send("GET", "/api/2.0/mlflow/model-versions/search?filter="+url.QueryEscape("tags.x IS NULL OR tags.x = 'y'"), "", "")
		},
		"models": posted("logged-models/search", object{"experiment_ids": []string{"e"}}),
	}
	last := map[string]string{}
	for name, search := range searches {
		last[name] = string(search(s).body)
	}
	point := object{"run_id": id, "key": "acc", "value": 1, "timestamp": 1}
	ofModel := object{"run_id": id, "key": "acc", "value": 2, "timestamp": 2, "model_id": logged}
	for _, step := range []struct {
		path    string
		change  object
		changes []string // the searches that show it
	}{
		{"runs/set-tag", object{"run_id": id, "key": "a", "value": "b"}, []string{"runs"}},
		{"runs/log-parameter", object{"run_id": id, "key": "a", "value": "b"}, []string{"runs"}},
		{"runs/log-metric", point, []string{"runs"}},
		{"runs/log-metric", ofModel, []string{"runs", "models"}},
		{"runs/log-inputs", object{"run_id": id, "datasets": []object{{"dataset": object{"name": "d", "digest": "1", "source_type": "s", "source": "here"}}}}, []string{"runs"}},
		{"runs/outputs", object{"run_id": id, "models": []object{{"model_id": logged, "step": 3}}}, []string{"runs"}},
		{"runs/update", object{"run_id": id, "status": "FINISHED", "end_time": 5}, []string{"runs"}},
		{"runs/log-metric", object{"run_id": id, "key": "late", "value": 1, "timestamp": 1}, []string{"runs"}},
		{"runs/delete", object{"run_id": id}, []string{"runs"}},
		{"runs/restore", object{"run_id": id}, []string{"runs"}},
		{"experiments/set-experiment-tag", object{"experiment_id": "e", "key": "a", "value": "b"}, []string{"experiments"}},
		{"experiments/delete", object{"experiment_id": "e"}, []string{"experiments", "runs"}},
		{"experiments/restore", object{"experiment_id": "e"}, []string{"experiments", "runs"}},
		{"experiments/update", object{"experiment_id": "e", "new_name": "f"}, []string{"experiments"}},
		{"registered-models/alias", object{"name": "m", "alias": "best", "version": "1"}, []string{"versions"}},
		{"model-versions/set-tag", object{"name": "m", "version": "1", "key": "x", "value": "y"}, []string{"versions"}},
		{"model-versions/transition-stage", object{"name": "m", "version": "1", "stage": "Production", "archive_existing_versions": false}, []string{"versions"}},
		{"registered-models/rename", object{"name": "m", "new_name": "n"}, []string{"versions"}},
	} {
		post[object](s, step.path, step.change)
		fresh := serveAnew(t, s)
		for name, search := range searches {
			now := string(search(s).body)
			require.Equal(t, string(search(fresh).body), now, "%s after %s", name, step.path)
			require.Equal(t, now, string(search(s).body))
			for _, changed := range step.changes {
				if changed == name {
					require.NotEqual(t, last[name], now, "%s after %s", name, step.path)
				}
			}
			last[name] = now
		}
	}
	require.NotEmpty(t, s.handler.sentBefore.items)
}

func posted(path string, message object) func(*served) answer {
	return func(s *served) answer {
		return s.send("POST", "/api/2.0/mlflow/"+path, jsonType, string(encode(s.t, message)))
	}
}

// serveAnew serves a workspace by another handler, which knows nothing yet.
func serveAnew(t *testing.T, s *served) *served {
	t.Helper()
	handler := newHandler(s.core, &Options{})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &served{t, s.core, handler, server.URL}
}

func TestFoundJSON(t *testing.T) {
	t.Parallel()
	a, b := experimentMessage{Name: `<"&>`}, experimentMessage{Tags: []keyValue{{"k", "v"}}}
	for name, want := range map[string]searchExperimentsResponse{
		"none":       {},
		"one":        {Experiments: []experimentMessage{a}},
		"two":        {Experiments: []experimentMessage{a, b}},
		"with token": {Experiments: []experimentMessage{b}, NextPageToken: `x"<y`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := &found{list: "experiments", next: want.NextPageToken}
			for _, e := range want.Experiments {
				page.items = append(page.items, encode(t, e))
			}
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			page.writeTo(w)
			require.NoError(t, w.Flush())
			var got searchExperimentsResponse
			require.NoError(t, json.Unmarshal(out.Bytes(), &got))
			require.Equal(t, want, got)
			require.Equal(t, string(encode(t, want)), out.String())
		})
	}
}

// TestSentCache puts in more than there is room for.
func TestSentCache(t *testing.T) {
	t.Parallel()
	const each = maxSent / 16
	sc := sentCache{items: map[index.State]sent{}}
	message := func(state index.State) sent { return sent{json: bytes.Repeat([]byte{byte(state)}, each-sentCost)} }
	for state := range index.State(40) {
		sc.put(state, message(state))
		sc.put(state, message(state))
		got, ok := sc.get(state)
		require.True(t, ok)
		require.Equal(t, message(state), got)
		require.Equal(t, min(int(state)+1, 16), len(sc.items))
		require.Equal(t, len(sc.items)*each, sc.size)
	}
	sc.put(100, sent{json: make([]byte, maxSent)})
	require.Len(t, sc.items, 16, "nothing makes place for what is too large")
	for state, s := range sc.items {
		require.Equal(t, message(state), s)
	}
}
