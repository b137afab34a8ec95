package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// PrometheusServer is a Prometheus on this machine, on 127.0.0.1.
type PrometheusServer struct {
	// URL is its address.
	URL string
}

// Prometheus starts a Prometheus that asks the targets, such as 127.0.0.1:9464,
// for their metrics once a second. It ends with the test.
func Prometheus(t testing.TB, targets ...string) *PrometheusServer {
	t.Helper()
	program := need(t, AbilityPrometheus, func() (string, error) { return prometheus(t.Context(), false) })
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{ // which is YAML, too
		"global":         map[string]any{"scrape_interval": "1s"},
		"scrape_configs": []any{map[string]any{"job_name": "azml", "static_configs": []any{map[string]any{"targets": targets}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &PrometheusServer{URL: "http://" + loopback(FreePort(t))}
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+strings.TrimPrefix(s.URL, "http://"), "--log.level=warn")
	start(t, cmd, func(ctx context.Context) error {
		_, err := s.get(ctx, "/-/ready")
		return err
	})
	return s
}

// Query gives the sum of what the expression gives now; ok is false when it gives
// nothing.
func (s *PrometheusServer) Query(t testing.TB, expression string) (sum float64, ok bool) {
	t.Helper()
	answer, err := s.get(t.Context(), "/api/v1/query?query="+url.QueryEscape(expression))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range answer.Data.Result {
		text, _ := one.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		sum, ok = sum+value, true
	}
	return sum, ok
}

type prometheusAnswer struct {
	Data struct {
		Result []struct {
			Value [2]any `json:"value"`
		} `json:"result"`
	} `json:"data"`
}

func (s *PrometheusServer) get(ctx context.Context, path string) (*prometheusAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("Prometheus answers %s to %s", response.Status, path)
	}
	var answer prometheusAnswer
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		err = json.NewDecoder(response.Body).Decode(&answer)
	}
	return &answer, err
}

// prometheus gives the program: that of the PATH, else the system's package,
// unpacked into the cache and not installed, for that would start a server.
func prometheus(ctx context.Context, again bool) (string, error) {
	if path, err := exec.LookPath("prometheus"); err == nil {
		return path, nil
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	dir, err := c.installed(ctx, "prometheus", again, func(dir string) error {
		_, err := output(ctx, "sh", "-c", `cd "$1" && apt-get -q update && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb`, "sh", dir)
		return err
	})
	return filepath.Join(dir, "usr", "bin", "prometheus"), err
}
