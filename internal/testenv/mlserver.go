package testenv

import (
	"fmt"
	"net"
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
	ports, err := freePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"echo_model.py":       echoModel,
		"settings.json":       fmt.Sprintf(`{"host": "127.0.0.1", "http_port": %d, "grpc_port": %d, "metrics_port": %d, "parallel_workers": 0}`, ports[0], ports[1], ports[2]),
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
	return fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
}

// freePorts gives ports of this machine that nobody listens on now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
