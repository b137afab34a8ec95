// Package testenv gives tests the programs they need: it finds them on this
// machine, or installs them into a cache outside the repository, where the
// next run finds them in an instant. Any number of test processes may ask at
// once: one installs, the others wait.
//
// What can't be had makes a test skip with one line that says why. The
// variable AZML_TEST_MUST_RUN, a list such as "git,python", names abilities
// whose lack makes the test fail instead. AZML_TEST_CACHE moves the cache,
// which is "azml-test" in the user's cache folder.
package testenv

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The abilities that a test may need, by the names that [Skip] and
// AZML_TEST_MUST_RUN use.
const (
	// AbilityGit is the program git.
	AbilityGit = "git"
	// AbilityPython is a Python of at least 3.9 with its modules venv and pip.
	AbilityPython = "python"
	// AbilityPythonVenv is the making of virtual environments with packages
	// installed over the network.
	AbilityPythonVenv = "python-venv"
	// AbilityConda is a channel of conda packages, packed from this machine's Python,
	// and the package index that has what installs them.
	AbilityConda = "conda"
	// AbilityInferenceServer is the azureml-inference-server-http that contract
	// tests compare answers with.
	AbilityInferenceServer = "inference-server"
	// AbilityMLServer is the server of the Open Inference Protocol that contract
	// tests compare answers with.
	AbilityMLServer = "mlserver"
	// AbilityAzureMLCore is Azure ML's own SDK, which must be able to read the run
	// configurations that are saved.
	AbilityAzureMLCore = "azureml-core"
	// AbilityParquetReaders is pyarrow, pandas, DuckDB and Polars, which must be
	// able to read what is sealed.
	AbilityParquetReaders = "parquet-readers"
	// AbilityTensorBoard is the TensorBoard that reads what is exported, and
	// writers of event files to import.
	AbilityTensorBoard = "tensorboard"
	// AbilityONNX is ONNX Runtime with its shared library, and what makes models for it.
	AbilityONNX = "onnx"
	// AbilityMLflow is MLflow's own client, with which tests use the server of
	// its interface.
	AbilityMLflow = "mlflow"
	// AbilityMLflowSkinny is MLflow's client without a server, whose search is
	// compared with ours.
	AbilityMLflowSkinny = "mlflow-skinny"
	// AbilityAzurite is Azure's own emulator of its blob service, from npm.
	AbilityAzurite = "azurite"
	// AbilityMLflowJava is MLflow's client for Java, with a JDK that runs it.
	AbilityMLflowJava = "mlflow-java"
	// AbilityS3 is an S3 server, built from its source.
	AbilityS3 = "s3"
	// AbilityPostgreSQL is a PostgreSQL server.
	AbilityPostgreSQL = "postgresql"
	// AbilitySSHD is an OpenSSH server, and as root an account to log in to.
	AbilitySSHD = "sshd"
	// AbilityDocker is a Docker engine with an image that has Python.
	AbilityDocker = "docker"
	// AbilityKubernetes is a Kubernetes of one node, from a folder with its programs.
	AbilityKubernetes = "kubernetes"
	// AbilityKueue is Kueue, built from its source, in such a Kubernetes.
	AbilityKueue = "kueue"
	// AbilityPrometheus is a Prometheus, which asks for metrics.
	AbilityPrometheus = "prometheus"
	// AbilityRegistry is a registry of images.
	AbilityRegistry = "registry"
	// AbilityTorch is a Python with PyTorch for processors.
	AbilityTorch = "torch"
	// AbilityMPI is Open MPI's mpirun.
	AbilityMPI = "mpi"
	// AbilityDistributedImage is an image with PyTorch and Open MPI.
	AbilityDistributedImage = "distributed-image"
	// AbilityMount is the right to mount file systems, for tests of full disks.
	AbilityMount = "mount"
)

// MustRunVariable names the environment variable with the abilities whose lack
// fails a test.
const MustRunVariable = "AZML_TEST_MUST_RUN"

// Abilities lists all abilities, those first that others build on. The slice
// is the caller's own.
func Abilities() []string {
	return []string{
		AbilityGit,
		AbilityPython,
		AbilityPythonVenv,
		AbilityConda,
		AbilityInferenceServer,
		AbilityMLServer,
		AbilityAzureMLCore,
		AbilityMLflowSkinny,
		AbilityParquetReaders,
		AbilityTensorBoard,
		AbilityONNX,
		AbilityMLflow,
		AbilityAzurite,
		AbilityMLflowJava,
		AbilityS3,
		AbilityPostgreSQL,
		AbilitySSHD,
		AbilityDocker,
		AbilityKubernetes,
		AbilityKueue,
		AbilityPrometheus,
		AbilityRegistry,
		AbilityTorch,
		AbilityMPI,
		AbilityDistributedImage,
		AbilityMount,
	}
}

// Skip skips the test for want of an ability, with the reason in one line, or
// fails it when AZML_TEST_MUST_RUN names the ability.
func Skip(t testing.TB, ability, reason string) {
	t.Helper()
	line := fmt.Sprintf("%s is missing: %s", ability, oneLine(reason))
	if mustRun(ability) {
		t.Fatal(line + " (and " + MustRunVariable + " names it)")
	} else {
		t.Skip(line)
	}
}

func mustRun(ability string) bool {
	return slices.Contains(strings.Split(os.Getenv(MustRunVariable), ","), ability)
}

// oneLine joins the lines of a text and bounds its length.
func oneLine(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	if runes := []rune(line); len(runes) > 400 {
		return string(runes[:200]) + " … " + string(runes[len(runes)-200:])
	}
	return line
}

// need gives a found thing, or skips the test for want of the ability.
func need(t testing.TB, ability string, find func() (string, error)) string {
	t.Helper()
	found, err := find()
	if err != nil {
		Skip(t, ability, err.Error())
	}
	return found
}
