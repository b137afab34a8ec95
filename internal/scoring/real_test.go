//go:build unix

package scoring

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// realPython names an interpreter with azureml-inference-server-http 1.5.1 and
// inference-schema installed.
const realPython = "AZML_TEST_INFERENCE_SERVER_PYTHON"

func needReal(t *testing.T) string {
	t.Helper()
	python := os.Getenv(realPython)
	if python == "" {
		t.Skip(realPython + " names no interpreter with azureml-inference-server-http")
	}
	return python
}

// startReal serves a script with the real package and returns its address.
func startReal(t *testing.T, python, script string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	dir := writeScript(t, script)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(address)
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
			t.Logf("the real server's log:\n%s", text)
		}
	})
	s := &service{Server: httptest.NewUnstartedServer(nil)}
	_ = s.Listener.Close()
	s.URL = "http://" + address
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
	python := needReal(t)
	for _, table := range realTables {
		t.Run(table.name, func(t *testing.T) {
			s := startReal(t, python, table.script)
			runCases(t, table.cases, s.ask)
		})
	}
}

// TestContractWithRealPackages hosts the scripts with the real flask, request,
// response and schema packages.
func TestContractWithRealPackages(t *testing.T) {
	t.Parallel()
	python := needReal(t)
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
	python := needReal(t)
	real := startReal(t, python, schemaScript)
	p, _ := startScript(t, schemaScript, func(c *PythonConfig) { c.Python = python })
	ours := serve(t, Config{}, p)
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
