package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The numbers of connections that log single points, and that create runs: with sixteen of
// those, calls of MLflow's server on SQLite last longer than is waited for.
var (
	loggingConnections  = []int{1, 4, 16}
	creatingConnections = []int{1, 4}
)

// batchSize is the most points that MLflow takes at once.
const batchSize = 1000

// sendBatch makes a log-batch of full size, whose steps begin with first. Its text
// is made in a tenth of the time that encoding/json needs, which would be the
// client's cost.
func (t *tracker) sendBatch(ctx context.Context, run string, first int) error {
	now := time.Now().UnixMilli()
	body := fmt.Appendf(nil, `{"run_id":%q,"metrics":[`, run)
	for i := range batchSize {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"key":"loss","value":`...)
		body = strconv.AppendFloat(body, 1/float64(first+i+1), 'g', -1, 64)
		body = append(body, `,"timestamp":`...)
		body = strconv.AppendInt(body, now, 10)
		body = append(body, `,"step":`...)
		body = append(strconv.AppendInt(body, int64(first+i+1), 10), '}')
	}
	_, err := t.call(ctx, http.MethodPost, "2.0/mlflow/runs/log-batch", bytes.NewReader(append(body, "]}"...)))
	return err
}

// metricRequest is the request that logs the next point.
func (t *tracker) metricRequest() []byte {
	n := t.count.Add(1)
	return t.rawPost("runs/log-metric", fmt.Sprintf(`{"run_id":"%s","run_uuid":"%s","key":"loss","value":0.%d,"timestamp":%d,"step":%d}`, t.run, t.run, n, time.Now().UnixMilli(), n))
}

// createRequest is the request that creates a run.
func (t *tracker) createRequest() []byte {
	return t.rawPost("runs/create", fmt.Sprintf(`{"experiment_id":"%s","start_time":%d}`, t.experiment, time.Now().UnixMilli()))
}

// rawPost is a call of the API as it goes over a connection.
func (t *tracker) rawPost(path, body string) []byte {
	return fmt.Appendf(nil, "POST /api/2.0/mlflow/%s HTTP/1.1\r\nHost: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, t.target.Address, len(body), body)
}

// logMetric measures single points over kept connections.
func (s *trackers) logMetric(ctx context.Context) error {
	return s.load(ctx, "log-metric", loggingConnections, (*tracker).metricRequest)
}

// load measures requests over kept connections.
func (s *trackers) load(ctx context.Context, name string, connections []int, request func(t *tracker) []byte) error {
	var servers []*server
	for _, t := range s.all {
		t.request = func() []byte { return request(t) }
		servers = append(servers, t.server)
	}
	for _, n := range connections {
		if err := s.bench.loadServers(ctx, fmt.Sprintf("server-%s-%d-connections", name, n), n, servers); err != nil {
			return err
		}
	}
	return nil
}

// logBatch measures 1,000 points in one call.
func (s *trackers) logBatch(ctx context.Context) error {
	return s.compare(ctx, "server-log-batch-of-1000", "ms", 1e3, func(ctx context.Context, t *tracker) error {
		return t.sendBatch(ctx, t.run, int(t.count.Add(batchSize)))
	}, lasting{})
}

// loadRuns measures new runs over kept connections.
func (s *trackers) loadRuns(ctx context.Context) error {
	return s.load(ctx, "create-run", creatingConnections, (*tracker).createRequest)
}

// createRun measures new runs, one at a time.
func (s *trackers) createRun(ctx context.Context) error {
	return s.compare(ctx, "server-create-run", "ms", 1e3, func(ctx context.Context, t *tracker) error {
		_, err := t.newRun(ctx, t.experiment)
		return err
	}, lasting{files: 3, size: 800})
}

// history measures reading a long metric of an ended run, in the pages that
// MLflow's client asks for.
func (s *trackers) history(ctx context.Context) error {
	return s.few(ctx, 3, fmt.Sprintf("server-history-of-%d", historySize), "ms", 1e3, func(ctx context.Context, t *tracker) error {
		points, token := 0, ""
		for {
			query := url.Values{"run_id": {t.long}, "metric_key": {"loss"}, "max_results": {"25000"}}
			if token != "" {
				query.Set("page_token", token)
			}
			page, err := t.call(ctx, http.MethodGet, "2.0/mlflow/metrics/get-history?"+query.Encode(), nil)
			if err != nil {
				return err
			}
			points += bytes.Count(page, []byte(`"timestamp"`))
			if token = nextPage(page); token == "" {
				return t.complete(points, historySize)
			}
		}
	}, lasting{})
}

// complete tells that a server gave less, or more, than there is.
func (t *tracker) complete(got, want int) error {
	if got != want {
		return fmt.Errorf("%d instead of %d", got, want)
	}
	return nil
}

// nextPage finds the token in an answer without decoding megabytes of it, which
// would be the client's cost.
func nextPage(page []byte) string {
	at := bytes.LastIndex(page, []byte(`"next_page_token"`))
	if at < 0 {
		return ""
	}
	parts := bytes.SplitN(page[at:], []byte(`"`), 5)
	if len(parts) < 5 {
		return ""
	}
	return string(parts[3])
}

// search asks for a page of past runs, and gives how many it has and the token
// of the next.
func (t *tracker) search(ctx context.Context, question object) (int, string, error) {
	question["experiment_ids"] = []string{t.past}
	data, err := json.Marshal(question)
	if err != nil {
		return 0, "", err
	}
	page, err := t.call(ctx, http.MethodPost, "2.0/mlflow/runs/search", bytes.NewReader(data))
	return bytes.Count(page, []byte(`"run_id"`)), nextPage(page), err
}

// firstSearch measures the search for which the server reads all runs.
func (s *trackers) firstSearch(ctx context.Context) error {
	begun := time.Now()
	if _, _, err := s.all[0].search(ctx, object{"max_results": pageSize}); err != nil {
		return err
	}
	s.bench.report(figure{Name: fmt.Sprintf("server-search-first-of-%d", pastCount), Value: time.Since(begun).Seconds(), Unit: "s", N: 1,
		Note: "reads every record and metric, once in a workspace's life on a machine"})
	return nil
}

// searchPage measures the first page of a search.
func (s *trackers) searchPage(ctx context.Context) error {
	q := questions[1]
	return s.compare(ctx, fmt.Sprintf("server-search-%s-of-%d", q.name, pastCount), "ms", 1e3, func(ctx context.Context, t *tracker) error {
		n, _, err := t.search(ctx, object{"filter": q.filter, "order_by": []string{q.order}, "max_results": pageSize})
		if err != nil || t.floor {
			return err
		}
		return t.complete(n, pageSize)
	}, lasting{})
}

// searchAll measures reading all runs, in the pages that MLflow's client asks for.
func (s *trackers) searchAll(ctx context.Context) error {
	return s.few(ctx, 3, fmt.Sprintf("server-search-all-pages-of-%d", pastCount), "ms", 1e3, func(ctx context.Context, t *tracker) error {
		all, token := 0, ""
		for {
			n, next, err := t.search(ctx, object{"max_results": 1000, "page_token": token})
			if err != nil {
				return err
			}
			all += n
			if token = next; token == "" {
				return t.complete(all, pastCount)
			}
		}
	}, lasting{})
}
