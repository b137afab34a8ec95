package runconfig

import (
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/pyenv"
)

// Environment is the environment of a run, or a reference to a registered one.
type Environment struct {
	// Name is the environment's name; default default-environment.
	Name string `rc:"name"`
	// Version is its version.
	Version string `rc:"version,null"`
	// EnvironmentVariables are set for all runs; their names keep their case.
	EnvironmentVariables map[string]string `rc:"environmentVariables"`
	// Python is the Python part.
	Python Python `rc:"python"`
	// Docker is the image part.
	Docker DockerSection `rc:"docker"`
	// Spark is the Spark part.
	Spark SparkSection `rc:"spark"`
	// Databricks is kept as it is.
	Databricks map[string]any `rc:"databricks,null"`
	// R is kept as it is.
	R map[string]any `rc:"r,null"`
	// InferencingStackVersion is "latest" to add the scoring server.
	InferencingStackVersion string `rc:"inferencingStackVersion,null"`
	// AssetID is the ID of the registered version.
	AssetID string `rc:"assetId,null"`

	// Reference tells that only name and version were given: the environment
	// is the registered one of that name.
	Reference bool `rc:"-"`
	// File is the path that stood in place of the environment, relative to the
	// project folder. Load reads it, Parse can't; Save does not write it.
	File string `rc:"-"`
}

// Python is the Python part of an environment.
type Python struct {
	// UserManagedDependencies says that all packages are there already;
	// default false.
	UserManagedDependencies bool `rc:"userManagedDependencies"`
	// InterpreterPath is the interpreter of a user managed environment;
	// default python.
	InterpreterPath string `rc:"interpreterPath"`
	// CondaDependenciesFile is the conda file's path, relative to the project
	// folder. Load reads it into CondaDependencies; Save chooses its own.
	CondaDependenciesFile string `rc:"condaDependenciesFile,null"`
	// CondaDependencies is the text of a conda environment file; empty is no
	// packages.
	CondaDependencies CondaText `rc:"condaDependencies,null"`
	// BaseCondaEnvironment is an existing conda environment to start from.
	BaseCondaEnvironment string `rc:"baseCondaEnvironment,null"`
}

// DockerSection is the image part of an environment: at most one of BaseImage,
// BaseDockerfile and BuildContext is set.
type DockerSection struct {
	// Enabled is the old form of Docker.UseDocker; default false.
	Enabled bool `rc:"enabled"`
	// BaseImage is the image to start from.
	BaseImage string `rc:"baseImage,null"`
	// BaseDockerfile is the text of a Dockerfile to start from.
	BaseDockerfile string `rc:"baseDockerfile,null"`
	// BuildContext is a folder with a Dockerfile.
	BuildContext *BuildContext `rc:"buildContext"`
	// SharedVolumes lets containers share volumes; default true.
	SharedVolumes bool `rc:"sharedVolumes"`
	// ShmSize is the size of /dev/shm; default 2g.
	ShmSize string `rc:"shmSize"`
	// Arguments are further arguments of docker run.
	Arguments []string `rc:"arguments"`
	// BaseImageRegistry is where BaseImage is.
	BaseImageRegistry Registry `rc:"baseImageRegistry"`
	// Platform is the image's platform.
	Platform Platform `rc:"platform"`
}

// BuildContext is a folder with a Dockerfile.
type BuildContext struct {
	// LocationType is git or storageAccount.
	LocationType string `rc:"locationType,null"`
	// Location is the folder's URL.
	Location string `rc:"location,null"`
	// DockerfilePath is the Dockerfile in it; default Dockerfile.
	DockerfilePath string `rc:"dockerfilePath"`
}

// Registry is a container registry.
type Registry struct {
	// Address is its address.
	Address string `rc:"address,null"`
	// Username is who logs in.
	Username string `rc:"username,null"`
	// Password is a secret, masked when printed. It is written to the file, as
	// the SDK does: prefer a registry that needs none there.
	Password Secret `rc:"password,null"`
	// RegistryIdentity is kept as it is.
	RegistryIdentity map[string]any `rc:"registryIdentity,null"`
}

// Secret is a text that is not printed.
type Secret string

// String hides the secret.
func (Secret) String() string { return "REDACTED" }

// GoString hides the secret from %#v too.
func (Secret) GoString() string { return "REDACTED" }

// Platform is an image's platform.
type Platform struct {
	// OS is Linux, Windows or OSX; default Linux.
	OS string `rc:"os"`
	// Architecture is the processor; default amd64.
	Architecture string `rc:"architecture"`
}

// SparkSection is the Spark part of an environment.
type SparkSection struct {
	// Repositories are where packages come from.
	Repositories []string `rc:"repositories"`
	// Packages are the packages.
	Packages []SparkPackage `rc:"packages"`
	// PrecachePackages loads them into the image; default true.
	PrecachePackages bool `rc:"precachePackages"`
}

// SparkPackage is a package of Spark.
type SparkPackage struct {
	// Group is its group.
	Group string `rc:"group,null"`
	// Artifact is its name.
	Artifact string `rc:"artifact,null"`
	// Version is its version.
	Version string `rc:"version,null"`
}

// CondaText is the text of a conda file; on disk it may be a mapping.
type CondaText string

// Spec gives the Python environment to build. dir is the project folder, in
// which the pip list of the conda file may include requirements files; empty
// refuses that. Errors: ErrInvalid, also for a reference, which the workspace
// has to look up, ErrNotFound for an included file.
func (e Environment) Spec(dir string) (pyenv.Spec, error) {
	if e.Reference || e.File != "" {
		return pyenv.Spec{}, fmt.Errorf("%w: environment %q%s only names an environment, it does not hold one", azml.ErrInvalid, e.Name, e.File)
	}
	if e.Python.UserManagedDependencies {
		return pyenv.Spec{UserManaged: true, InterpreterPath: e.Python.InterpreterPath}, nil
	}
	if e.Python.CondaDependencies == "" {
		return pyenv.Spec{}, nil
	}
	_, spec, err := pyenv.ParseConda([]byte(e.Python.CondaDependencies), dir)
	return spec, err
}
