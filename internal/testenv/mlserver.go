package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// echoModel is the model of StartMLServer: it gives back what it was given.
const echoModel = `
from mlserver import MLModel, types

class Echo(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        outputs = [types.ResponseOutput(name=i.name, shape=i.shape, datatype=i.datatype, data=i.data) for i in payload.inputs]
        return types.InferenceResponse(model_name=self.name, model_version=self.version, id=payload.id, outputs=outputs)
`

// StartMLServer serves a model by the real MLServer until the test has ended: "m"
// of version 1, which gives back the tensors that it is given. It gives the
// addresses of its interfaces over HTTP and gRPC, which may take some seconds to answer.
func StartMLServer(t testing.TB) (overHTTP, overGRPC string) {
	t.Helper()
	python := MLServer(t)
	web, grpc, metrics := FreePort(t), FreePort(t), FreePort(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"echo_model.py":       echoModel,
		"settings.json":       fmt.Sprintf(`{"host": "127.0.0.1", "http_port": %d, "grpc_port": %d, "metrics_port": %d, "parallel_workers": 0}`, web, grpc, metrics),
		"model-settings.json": `{"name": "m", "implementation": "echo_model.Echo", "versions": ["1"], "platform": "test", "parameters": {"version": "1"}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said lines
	cmd := exec.Command(filepath.Join(filepath.Dir(python), "mlserver"), "start", ".")
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), "PYTHONPATH="+dir), &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = interrupt(cmd.Process) // it may have ended
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			text := said.String()
			t.Logf("the end of the real server's log:\n%s", text[max(0, len(text)-2000):])
		}
	})
	return loopback(web), loopback(grpc)
}
