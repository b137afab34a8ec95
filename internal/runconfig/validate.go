package runconfig

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// shmSize is a number with a unit as Docker takes it.
var shmSize = regexp.MustCompile(`^[0-9]+[bkmgBKMG]?$`)

// Validate checks the values against each other and against what they can be,
// and reports all problems together. It looks at no files. Errors: ErrInvalid.
func (c *RunConfig) Validate() error {
	var v validator
	v.program(c)
	v.distribution(c)
	v.environment(c.Environment)
	v.data(c)
	v.endpoints(c.ApplicationEndpoints)
	v.check(c.Docker.ShmSize == "" || shmSize.MatchString(c.Docker.ShmSize), "docker.shmSize", "%q is no size such as 2g", c.Docker.ShmSize)
	v.oneOf("hdi.yarnDeployMode", c.HDI.YarnDeployMode, "cluster", "client")
	for name := range c.EnvironmentVariables {
		v.check(name != "" && !strings.ContainsAny(name, "=\x00"), "environmentVariables", "%q can't be the name of a variable", name)
	}
	if len(v) == 0 {
		return nil
	}
	slices.Sort(v)
	return fmt.Errorf("%w: run configuration: %s", azml.ErrInvalid, strings.Join(v, "; "))
}

// validator collects problems.
type validator []string

func (v *validator) check(ok bool, key, problem string, args ...any) {
	if !ok {
		*v = append(*v, key+": "+fmt.Sprintf(problem, args...))
	}
}

// oneOf checks a value that may be empty against a list, in any case, as the
// SDK's own files differ in it.
func (v *validator) oneOf(key, value string, allowed ...string) {
	ok := value == "" || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, value) })
	v.check(ok, key, "%q is none of %s", value, strings.Join(allowed, ", "))
}

func (v *validator) atLeast(key string, value, least int) {
	v.check(value >= least, key, "%d is less than %d", value, least)
}

func (v *validator) program(c *RunConfig) {
	v.check(c.Script == "" || c.Command.Empty(), "command", "set either script or command, not both")
	v.check(c.Script != "" || !c.Command.Empty(), "script", "set a script or a command to run")
	v.check(c.Script == "" || filepath.IsLocal(filepath.FromSlash(cleanPath(c.Script))), "script",
		"%q has to be a path inside the source folder", c.Script)
	v.check(c.Command.Empty() || len(c.Arguments) == 0, "arguments", "they go with a script: put them into command")
	v.check(c.Command.Line == "" || len(c.Command.Words) == 0, "command", "set either a line or words")
	v.check(c.Target != "", "target", "name a compute target, or local")
	v.atLeast("maxRunDurationSeconds", c.MaxRunDurationSeconds, 0)
}

func (v *validator) distribution(c *RunConfig) {
	v.oneOf("framework", c.Framework, "Python", "PySpark", "TensorFlow", "PyTorch")
	v.oneOf("communicator", c.Communicator, "None", "ParameterServer", "OpenMpi", "IntelMpi", "Nccl", "Gloo", "ParallelTask")
	v.oneOf("pytorch.communicationBackend", c.PyTorch.CommunicationBackend, "nccl", "gloo")
	v.atLeast("nodeCount", c.NodeCount, 1)
	v.atLeast("mpi.nodeCount", c.MPI.NodeCount, 1)
	v.atLeast("mpi.processCountPerNode", c.MPI.ProcessCountPerNode, 1)
	v.atLeast("pytorch.nodeCount", c.PyTorch.NodeCount, 1)
	v.atLeast("pytorch.processCount", c.PyTorch.ProcessCount, 0)
	v.atLeast("tensorflow.workerCount", c.TensorFlow.WorkerCount, 1)
	v.atLeast("tensorflow.parameterServerCount", c.TensorFlow.ParameterServerCount, 0)
	v.atLeast("paralleltask.maxRetriesPerWorker", c.ParallelTask.MaxRetriesPerWorker, 0)
	v.atLeast("paralleltask.workerCountPerNode", c.ParallelTask.WorkerCountPerNode, 1)
}

func (v *validator) environment(e Environment) {
	v.check(e.Name != "" || !e.Reference, "environment.name", "a reference needs a name")
	d := e.Docker
	sources := 0
	for _, set := range []bool{d.BaseImage != "", d.BaseDockerfile != "", d.BuildContext != nil} {
		if set {
			sources++
		}
	}
	v.check(sources <= 1, "environment.docker", "set only one of baseImage, baseDockerfile and buildContext")
	if d.BuildContext != nil {
		v.oneOf("environment.docker.buildContext.locationType", d.BuildContext.LocationType, "git", "storageAccount")
		v.check(d.BuildContext.Location != "", "environment.docker.buildContext.location", "name the folder's URL")
	}
	v.oneOf("environment.docker.platform.os", d.Platform.OS, "Linux", "Windows", "OSX")
	v.check(d.ShmSize == "" || shmSize.MatchString(d.ShmSize), "environment.docker.shmSize", "%q is no size such as 2g", d.ShmSize)
}

func (v *validator) data(c *RunConfig) {
	for name, r := range c.DataReferences {
		key := "dataReferences." + name
		v.oneOf(key+".mode", r.Mode, "mount", "download", "upload")
		v.check(r.DataStoreName != "", key+".dataStoreName", "name a datastore")
	}
	for name, d := range c.Data {
		key := "data." + name
		v.oneOf(key+".mechanism", d.Mechanism, "direct", "mount", "download", "upload")
		v.check(d.DataLocation != nil, key+".dataLocation", "say where the data is")
		v.location(key+".dataLocation", d.DataLocation)
	}
	for name, o := range c.OutputData {
		key := "outputData." + name
		v.oneOf(key+".mechanism", o.Mechanism, "direct", "mount", "upload", "hdfs")
		v.location(key+".outputLocation", o.OutputLocation)
	}
}

func (v *validator) location(key string, l *DataLocation) {
	if l == nil {
		return
	}
	set := 0
	for _, there := range []bool{l.Dataset != nil, l.DataPath != nil, l.URI != nil} {
		if there {
			set++
		}
	}
	v.check(set == 1, key, "set exactly one of dataset, dataPath and uri")
}

func (v *validator) endpoints(all map[string]ApplicationEndpoint) {
	for name, e := range all {
		key := "applicationEndpoints." + name
		v.check(e.Type != "", key+".type", "say what kind of program it is")
		v.oneOf(key+".type", e.Type, "Jupyter", "JupyterLab", "VSCode", "TensorBoard", "SSH", "Grafana", "Custom")
		v.check(e.Port >= 0 && e.Port <= 65535, key+".port", "%d is no port", e.Port)
	}
}
