package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/azml-go/azml/internal/testenv"
)

// The packages of the servers that scoring by Python is measured beside.
var (
	mlServerPackages = []string{"mlserver==1.7.1"}
	bentoMLPackages  = []string{"bentoml==1.4.40"}
)

// Each does what noopScript does, in its own way.
const (
	noopBento = `
import bentoml

@bentoml.service(workers=1)
class Noop:
    @bentoml.api(route="/score")
    def score(self, data: list) -> dict:
        return {"ok": True}
`
	noopMLServer = `
from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput

class Noop(MLModel):
    async def predict(self, payload):
        return InferenceResponse(model_name=self.name, outputs=[ResponseOutput(name="ok", shape=[1], datatype="BOOL", data=[True])])
`
)

// startScoringPeers starts the peers that were asked for.
func (b *bench) startScoringPeers(ctx context.Context) (peers []*server, err error) {
	for peer, start := range map[string]func(context.Context) (*server, error){
		peerInferenceServer: b.startInferenceServer, peerMLServer: b.startMLServer, peerBentoML: b.startBentoML} {
		if !b.versus(peer) {
			continue
		}
		s, err := start(ctx)
		if err != nil {
			return peers, fmt.Errorf("%s: %w", peer, err)
		}
		peers = append(peers, s)
	}
	return peers, nil
}

// files makes a folder with files.
func (b *bench) files(name string, texts map[string]string) (dir string, err error) {
	if dir, err = b.sub(name); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for file, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// startBentoML starts BentoML with one worker.
func (b *bench) startBentoML(ctx context.Context) (*server, error) {
	python, err := b.venv(ctx, peerBentoML, bentoMLPackages)
	if err != nil {
		return nil, err
	}
	dir, err := b.files(peerBentoML, map[string]string{"service.py": noopBento})
	if err != nil {
		return nil, err
	}
	return startServer(ctx, "BentoML", "/healthz", func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(python), "bentoml"), "serve", "service:Noop", "--host", "127.0.0.1", "--port", port)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "BENTOML_DO_NOT_TRACK=true", "BENTOML_HOME="+dir)
		return cmd
	})
}

// startMLServer starts MLServer with the model in its one process.
func (b *bench) startMLServer(ctx context.Context) (*server, error) {
	python, err := b.venv(ctx, peerMLServer, mlServerPackages)
	if err != nil {
		return nil, err
	}
	dir, err := b.files(peerMLServer, map[string]string{"noop_model.py": noopMLServer,
		"model-settings.json": `{"name": "noop", "implementation": "noop_model.Noop"}`})
	if err != nil {
		return nil, err
	}
	var ports [2]string
	for i := range ports {
		port, release, err := testenv.ReservePort()
		if err != nil {
			return nil, err
		}
		defer release()
		ports[i] = strconv.Itoa(port)
	}
	s, err := startServer(ctx, "MLServer", "/v2/models/noop/ready", func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(python), "mlserver"), "start", ".")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PYTHONPATH="+dir, "MLSERVER_HOST=127.0.0.1", "MLSERVER_HTTP_PORT="+port, "MLSERVER_GRPC_PORT="+ports[0],
			"MLSERVER_METRICS_PORT="+ports[1], "MLSERVER_PARALLEL_WORKERS=0", "MLSERVER_DEBUG=false")
		return cmd
	})
	if err != nil {
		return nil, err
	}
	s.request = posting(s.target, "/v2/models/noop/infer", `{"inputs": [{"name": "data", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}]}`)
	return s, nil
}
