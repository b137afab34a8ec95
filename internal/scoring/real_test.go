//go:build unix

package scoring

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// startReal serves a script with the real package and returns its address.
func startReal(t testing.TB, python, script string) *service {
	t.Helper()
	port := strconv.Itoa(testenv.FreePort(t))
	dir := writeScript(t, script)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.Command(python, "-m", "azureml_inference_server_http", "--entry_script", "score.py", "--port", port, "--model_dir", dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), "SCORING_TIMEOUT_MS=1500")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		killGroup(cmd.Process)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the end of the real server's log:\n%s", text[max(0, len(text)-2000):])
		}
	})
	s := &service{Server: httptest.NewUnstartedServer(nil)}
	_ = s.Listener.Close()
	s.URL = "http://127.0.0.1:" + port
	require.Eventually(t, func() bool {
		resp, err := s.client().Get(s.URL + "/")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode == http.StatusOK
	}, 60*time.Second, 50*time.Millisecond)
	return s
}

var realTables = []struct {
	name, script string
	cases        []contractCase
}{
	{"plain", plainScript, plainCases}, {"request_headers", headersScript, headersCases},
	{"rawhttp", rawScript, rawCases}, {"schema", schemaScript, schemaCases},
}

// TestContractTablesHoldForTheRealServer keeps the tables honest.
func TestContractTablesHoldForTheRealServer(t *testing.T) {
	python := testenv.InferenceServer(t)
	for _, table := range realTables {
		t.Run(table.name, func(t *testing.T) {
			s := startReal(t, python, table.script)
			cases := slices.Clone(table.cases)
			for i := range cases {
				if cases[i].status == http.StatusGatewayTimeout {
					cases[i].status = http.StatusInternalServerError // 504 is what Azure's router makes of it
				}
			}
			runCases(t, cases, s.ask)
		})
	}
}

// TestContractWithRealPackages hosts the scripts with the real flask, request,
// response and schema packages.
func TestContractWithRealPackages(t *testing.T) {
	t.Parallel()
	python := testenv.InferenceServer(t)
	for _, table := range realTables {
		t.Run(table.name, func(t *testing.T) {
			t.Parallel()
			p, _ := startScript(t, table.script, func(c *PythonConfig) { c.Python = python })
			runCases(t, table.cases, serve(t, contractConfig(), p).ask)
		})
	}
}

// TestSchemaSwaggerLikeReal compares the parts of the documents that clients
// generate code from.
func TestSchemaSwaggerLikeReal(t *testing.T) {
	python := testenv.InferenceServer(t)
	real := startReal(t, python, schemaScript)
	p, _ := startScript(t, schemaScript, func(c *PythonConfig) { c.Python = python })
	ours := serve(t, options{}, p)
	for _, version := range []string{"2", "3", "3.1"} {
		t.Run(version, func(t *testing.T) {
			var want, got any
			path := "/swagger.json?version=" + version
			require.NoError(t, json.Unmarshal([]byte(real.ask(t, "GET", path, "").body), &want))
			require.NoError(t, json.Unmarshal([]byte(ours.ask(t, "GET", path, "").body), &got))
			schemas := []any{"components", "schemas"}
			if version == "2" {
				schemas = []any{"definitions"}
			}
			for _, name := range []string{"ServiceInput", "ServiceOutput", "ErrorResponse"} {
				keys := append(schemas[:len(schemas):len(schemas)], name)
				require.Equal(t, dig(want, keys...), dig(got, keys...), name)
			}
			for _, keys := range [][]any{{"swagger"}, {"openapi"}, {"info", "title"}, {"info", "version"},
				{"paths", "/score", "post", "operationId"}, {"paths", "/", "get", "operationId"}} {
				require.Equal(t, dig(want, keys...), dig(got, keys...), fmt.Sprint(keys))
			}
		})
	}
}

// TestRandomInputsLikeReal sends the same random routes, queries, bodies, types and ids,
// good and bad, to both servers: what they answer is the same, and so are the headers that
// the contract names.
func TestRandomInputsLikeReal(t *testing.T) {
	python := testenv.InferenceServer(t)
	texts := []string{"a", `"`, "é", "\xff", "\x00", "\n", "\u2028", "{", "😀", "\\", "\xed\xa0\x80", "\r"}
	// In JSON that is no UTF-8 the package fails, which is no contract.
	objects := []string{`{"a": `, `{"a": 1, "b": "x"`, "1", `"é"`, "[", "]", "}", "}", ",", "null", " ", "{}"}
	for _, c := range []struct {
		name, script string
		bodies       []string
	}{{"plain", plainScript, texts}, {"request_headers", headersScript, texts}, {"schema", schemaScript, objects}} {
		t.Run(c.name, func(t *testing.T) {
			real := startReal(t, python, c.script)
			p, _ := startScript(t, c.script, func(cfg *PythonConfig) { cfg.Python = python })
			likeReal(t, real, serve(t, contractConfig(), p), c.bodies)
		})
	}
}

// likeReal compares the answers to random requests with bodies of the given pieces.
func likeReal(t *testing.T, real, ours *service, bodies []string) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"a", "b", "=", "&", "=", "&", "1", "-2.5e3", "null", "%22", "x", "[1,%202]", "{}", "%", "%C3%A9", "%FF", "+", "1e400", "NaN", "'", ":", "true", "%00", "%0a", "0x1", "%26", "%3D", "01", "&version=3&", "&version=4&", "&a="}
	random := func(from []string) (text string) {
		for range rng.IntN(8) {
			text += from[rng.IntN(len(from))]
		}
		return text
	}
	// IDs that are too long are refused everywhere, by the package where there is something.
	targets := []struct {
		method, path string
		ids          bool
	}{
		{"POST", "/score", true}, {"GET", "/score", true}, {"POST", "/%73core", true}, {"GET", "/", true}, {"GET", "/swagger.json", true},
		{"POST", "/", false}, {"PATCH", "/score", false}, {"GET", "/score/", false}, {"POST", "/SCORE", false}, {"POST", "/score/x", false}, {"GET", "/nope", false},
	}
	names := []string{headerRequestID, headerClientID, headerLegacyID, headerTraceID, "Origin", "Content-Type", "X-Custom"}
	types := []string{"", "application/json", "application/json; charset=utf-8", "application/x+json", "text/csv", "application/octet-stream"}
	const requests = 200
	statuses := map[int]int{}
	for range requests {
		to := targets[min(rng.IntN(len(targets)), rng.IntN(len(targets)))]
		path, body := to.path+"?"+random(pieces), ""
		var headers []string
		if to.method != "GET" {
			body = random(bodies)
			if kind := types[rng.IntN(len(types))]; kind != "" {
				headers = append(headers, "Content-Type: "+kind)
			}
		}
		for range rng.IntN(4) {
			if to.ids {
				headers = append(headers, names[rng.IntN(len(names))]+": "+strings.Repeat("i", 1+rng.IntN(110)))
			}
		}
		want, got := real.ask(t, to.method, path, body, headers...), ours.ask(t, to.method, path, body, headers...)
		sent := fmt.Sprintf("%s %s %q %q", to.method, path, body, headers)
		require.Equal(t, want.status, got.status, sent)
		expected, found := contractHeaders(want), contractHeaders(got)
		if want.status == http.StatusNotFound || want.status == http.StatusMethodNotAllowed {
			require.NotEmpty(t, found[headerRequestID], "the package gives no IDs there: %s", sent)
			for _, name := range []string{headerRequestID, headerClientID, headerLegacyID, headerTraceID} {
				delete(expected, name)
				delete(found, name)
			}
		}
		require.Equal(t, expected, found, sent)
		switch {
		case want.status != http.StatusOK:
			require.JSONEq(t, want.body, got.body, sent)
		case to.path != "/swagger.json": // whose words differ
			require.Equal(t, strings.TrimSuffix(want.body, "\n"), got.body, sent)
		}
		statuses[want.status]++
	}
	t.Logf("%v", statuses)
}

// TestDifferencesFromReal: the differences that the documentation tells of are there.
func TestDifferencesFromReal(t *testing.T) {
	python := testenv.InferenceServer(t)
	for _, table := range []struct {
		name, script     string
		real, ours, sent contractCase
	}{
		{"form", plainScript, contractCase{status: 200, want: `{"got": "", "type": "str"}`}, contractCase{status: 200, want: `{"got": "[1]", "type": "str"}`},
			contractCase{body: "[1]", headers: []string{"Content-Type: application/x-www-form-urlencoded"}}},
		{"not UTF-8", schemaScript, contractCase{status: 500, message: saysInternal}, contractCase{status: 400, message: "*"},
			contractCase{body: "{\xff}", headers: []string{"Content-Type: application/json"}}},
		{"nested", schemaScript, contractCase{status: 500, message: saysInternal}, contractCase{status: 400, message: "*"},
			contractCase{body: strings.Repeat("[", 1<<20), headers: []string{"Content-Type: application/json"}}},
	} {
		t.Run(table.name, func(t *testing.T) {
			p, _ := startScript(t, table.script, func(c *PythonConfig) { c.Python = python })
			for name, c := range map[string]struct {
				ask  asker
				want contractCase
			}{"real": {startReal(t, python, table.script).ask, table.real}, "ours": {serve(t, contractConfig(), p).ask, table.ours}} {
				c.want.name, c.want.method, c.want.path = name, "POST", "/score"
				c.want.body, c.want.headers = table.sent.body, table.sent.headers
				runCases(t, []contractCase{c.want}, c.ask)
			}
		})
	}
}

// contractHeaders gives the headers that the contract is about: their values, or that
// there is one where each request has its own.
func contractHeaders(a answer) map[string]string {
	found := map[string]string{}
	for _, name := range []string{headerRequestID, headerClientID, headerLegacyID, headerTraceID, "Content-Type", headerRunFailed, headerRunMilliseconds, "Access-Control-Allow-Origin"} {
		value := a.header.Get(name)
		if len(value) == 36 || name == headerRunMilliseconds && value != "" {
			value = "*" // made by the server
		}
		found[name] = value
	}
	return found
}

// BenchmarkRealPackage is the same no-op script behind the real package.
func BenchmarkRealPackage(b *testing.B) {
	s := startReal(b, testenv.InferenceServer(b), "def init(): pass\ndef run(data): return {'ok': True}\n")
	loadTest(b, s.Server, 8)
}
