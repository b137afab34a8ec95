package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// InferenceServerVariable names the environment variable with the interpreter
// of the virtual environment that has the inference server.
const InferenceServerVariable = "AZML_TEST_INFERENCE_SERVER_PYTHON"

// MLServerVariable names the environment variable with the interpreter of the
// virtual environment that has MLServer.
const MLServerVariable = "AZML_TEST_MLSERVER_PYTHON"

// AzureMLCoreVariable names the environment variable with the interpreter of
// the virtual environment that has azureml-core.
const AzureMLCoreVariable = "AZML_TEST_AZUREML_PYTHON"

// TensorBoardVariable names the environment variable with the interpreter of
// the virtual environment that has TensorBoard.
const TensorBoardVariable = "AZML_TEST_TENSORBOARD_PYTHON"

// MLflowVariable names the environment variable with the interpreter of the
// virtual environment that has MLflow.
const MLflowVariable = "AZML_TEST_MLFLOW_PYTHON"

// MLflowSkinnyVariable names the environment variable with the interpreter of
// the virtual environment that has mlflow-skinny.
const MLflowSkinnyVariable = "AZML_TEST_MLFLOW_SKINNY_PYTHON"

// ParquetReadersVariable names the environment variable with the interpreter
// of the virtual environment that has the readers of Parquet files.
const ParquetReadersVariable = "AZML_TEST_PARQUET_READERS_PYTHON"

// ONNXVariable names the environment variable with the interpreter of the virtual
// environment that has ONNX Runtime.
const ONNXVariable = "AZML_TEST_ONNX_PYTHON"

// pinned is a virtual environment with a real peer that tests compare with.
type pinned struct {
	name         string // in the cache
	variable     string // that names an interpreter to take instead
	check        string // Python that fails when the peer is missing
	requirements []string
	over         []string // packages that come over those, without what they ask for
}

// peers are the virtual environments by the abilities that they give.
var peers = map[string]pinned{
	AbilityInferenceServer: inferenceServer,
	AbilityMLServer:        mlServer,
	AbilityAzureMLCore:     azureMLCore,
	AbilityMLflowSkinny:    mlflowSkinny,
	AbilityParquetReaders:  parquetReaders,
	AbilityTensorBoard:     tensorBoard,
	AbilityONNX:            onnx,
	AbilityMLflow:          mlflow,
}

var (
	// azureml-monitoring is for scoring scripts that collect data; what it asks for
	// is for telemetry.
	inferenceServer = pinned{"inference-server", InferenceServerVariable, "import azureml_inference_server_http, pandas, joblib, azureml.monitoring",
		[]string{"azureml-inference-server-http==1.5.1", "inference-schema[numpy-support,pandas-support]==1.8", "numpy==2.3.5", "pandas==2.3.3", "joblib==1.5.2"},
		[]string{"azureml-monitoring==0.1.0a21"}}
	mlServer    = pinned{"mlserver", MLServerVariable, "import mlserver", []string{"mlserver==1.7.1"}, nil}
	azureMLCore = pinned{"azureml-core", AzureMLCoreVariable, "from azureml.core.runconfig import RunConfiguration",
		[]string{"azureml-core==1.61.0.post4"}, nil}
	parquetReaders = pinned{"parquet-readers", ParquetReadersVariable, "import pyarrow, pandas, duckdb, polars",
		[]string{"pyarrow==26.0.1", "pandas==3.1.1", "duckdb==1.5.6", "polars==2.1.0"}, nil}
	tensorBoard = pinned{"tensorboard", TensorBoardVariable, "import tensorboard, tensorboardX",
		[]string{"tensorboard==2.21.0", "tensorboardX==2.6.5"}, nil}
	onnx = pinned{"onnx", ONNXVariable, "import onnxruntime, skl2onnx", []string{"onnxruntime==1.32.0", "skl2onnx==1.20.0", "scikit-learn==1.9.1"}, nil}
	// The newest has all of its code in its own package, and asks for two others of
	// its version that are not published. psutil is for system metrics.
	// azureml-ai-monitoring is for scoring scripts that collect data.
	mlflow = pinned{"mlflow", MLflowVariable, "import mlflow.sklearn, psutil, azureml.ai.monitoring",
		[]string{"mlflow==3.17.2", "psutil==7.2.2", "azureml-ai-monitoring==1.0.0"}, []string{"mlflow==3.18.0"}}
	mlflowSkinny = pinned{"mlflow-skinny", MLflowSkinnyVariable, "import mlflow.utils.search_utils", []string{"mlflow-skinny==3.17.2"}, nil}
)

// Venv gives the interpreter of a virtual environment with the requirements,
// in pip's words, installed. It is made once for each Python and set of
// requirements and then shared: tests must not change it. The name is for
// people who look into the cache.
func Venv(t testing.TB, name string, requirements ...string) string {
	t.Helper()
	Python(t)
	return need(t, AbilityPythonVenv, func() (string, error) { return venv(t.Context(), name, false, requirements, nil) })
}

// InferenceServer gives the interpreter of a virtual environment with
// azureml-inference-server-http: the one that AZML_TEST_INFERENCE_SERVER_PYTHON
// names, else one of the cache.
func InferenceServer(t testing.TB) string {
	t.Helper()
	return need(t, AbilityInferenceServer, func() (string, error) { return inferenceServer.python(t.Context(), false) })
}

// MLServer gives the interpreter of a virtual environment with MLServer: the one
// that AZML_TEST_MLSERVER_PYTHON names, else one of the cache.
func MLServer(t testing.TB) string {
	t.Helper()
	return need(t, AbilityMLServer, func() (string, error) { return mlServer.python(t.Context(), false) })
}

// AzureMLCore gives the interpreter of a virtual environment with azureml-core:
// the one that AZML_TEST_AZUREML_PYTHON names, else one of the cache.
func AzureMLCore(t testing.TB) string {
	t.Helper()
	return need(t, AbilityAzureMLCore, func() (string, error) { return azureMLCore.python(t.Context(), false) })
}

// MLflowSkinny gives the interpreter of a virtual environment with mlflow-skinny:
// the one that AZML_TEST_MLFLOW_SKINNY_PYTHON names, else one of the cache.
func MLflowSkinny(t testing.TB) string {
	t.Helper()
	return need(t, AbilityMLflowSkinny, func() (string, error) { return mlflowSkinny.python(t.Context(), false) })
}

// ParquetReaders gives the interpreter of a virtual environment with pyarrow,
// pandas, DuckDB and Polars: the one that AZML_TEST_PARQUET_READERS_PYTHON names,
// else one of the cache.
func ParquetReaders(t testing.TB) string {
	t.Helper()
	return need(t, AbilityParquetReaders, func() (string, error) { return parquetReaders.python(t.Context(), false) })
}

// TensorBoard gives the interpreter of a virtual environment with TensorBoard
// and tensorboardX, which writes event files as PyTorch does: the one that
// AZML_TEST_TENSORBOARD_PYTHON names, else one of the cache.
func TensorBoard(t testing.TB) string {
	t.Helper()
	return need(t, AbilityTensorBoard, func() (string, error) { return tensorBoard.python(t.Context(), false) })
}

// ONNX gives the interpreter of a virtual environment with ONNX Runtime, scikit-learn
// and skl2onnx: the one that AZML_TEST_ONNX_PYTHON names, else one of the cache.
func ONNX(t testing.TB) string {
	t.Helper()
	return need(t, AbilityONNX, func() (string, error) { return onnx.python(t.Context(), false) })
}

// MLflow gives the interpreter of a virtual environment with mlflow and the
// packages it needs, scikit-learn among them, and with azureml-ai-monitoring: the one that
// AZML_TEST_MLFLOW_PYTHON names, else one of the cache.
func MLflow(t testing.TB) string {
	t.Helper()
	return need(t, AbilityMLflow, func() (string, error) { return mlflow.python(t.Context(), false) })
}

func (p pinned) python(ctx context.Context, again bool) (string, error) {
	if given := os.Getenv(p.variable); given != "" {
		_, err := output(ctx, given, "-c", p.check)
		return given, err
	}
	return venv(ctx, p.name, again, p.requirements, p.over)
}

// venv makes the virtual environment unless it is there. With again, it tries
// even when it failed a moment ago.
func venv(ctx context.Context, name string, again bool, requirements, over []string) (string, error) {
	base, err := python(ctx)
	if err != nil {
		return "", err
	}
	version, err := output(ctx, base, "-c", "import sys; print(sys.executable, sys.version)")
	if err != nil {
		return "", err
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	text := version + "\n" + strings.Join(requirements, "\n")
	if len(over) > 0 {
		text += "\nover: " + strings.Join(over, "\n")
	}
	sum := sha256.Sum256([]byte(text))
	dir, err := c.installed(ctx, name+"-"+hex.EncodeToString(sum[:6]), again, func(dir string) error {
		return makeVenv(ctx, base, dir, requirements, over)
	})
	return interpreter(dir), err
}

func makeVenv(ctx context.Context, base, dir string, requirements, over []string) error {
	_, err := output(ctx, base, "-m", "venv", dir)
	pip := []string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"}
	for _, args := range [][]string{requirements, over} {
		if err == nil && len(args) > 0 {
			_, err = output(ctx, interpreter(dir), append(slices.Clone(pip), args...)...)
		}
		pip = append(pip, "--no-deps")
	}
	return err
}

// interpreter gives the path of the interpreter in a virtual environment.
func interpreter(venv string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(venv, "Scripts", "python.exe")
	}
	return filepath.Join(venv, "bin", "python")
}
