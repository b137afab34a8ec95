package gitinfo

import (
	"context"
	"strings"
	"time"
)

// Names of the properties that Read gives.
const (
	// RepositoryURI is the address of the default remote, without credentials.
	RepositoryURI = "azureml.git.repository_uri"
	// Branch is the short name of the branch, absent on a detached HEAD.
	Branch = "azureml.git.branch"
	// Commit is the full ID of the commit that is checked out, absent before
	// the first one.
	Commit = "azureml.git.commit"
	// Dirty is "True" when the source folder has changes that are not
	// committed, files that git does not know among them, else "False".
	Dirty = "azureml.git.dirty"
	// BuildID is the number of the build that submits, from the environment.
	BuildID = "azureml.git.build_id"
	// BuildURI is the address of that build, from the environment, without
	// credentials.
	BuildURI = "azureml.git.build_uri"
	// MLflowRepoURL is RepositoryURI under MLflow's name.
	MLflowRepoURL = "mlflow.source.git.repoURL"
	// MLflowBranch is Branch under MLflow's name.
	MLflowBranch = "mlflow.source.git.branch"
	// MLflowCommit is Commit under MLflow's name.
	MLflowCommit = "mlflow.source.git.commit"
)

// maxTime bounds all of Read.
const maxTime = 5 * time.Second

// Read gives the properties of the folder dir; those that are not known are
// absent. The variables AZUREML_GIT_REPOSITORY_URI, AZUREML_GIT_BRANCH,
// AZUREML_GIT_COMMIT, AZUREML_GIT_DIRTY, AZUREML_GIT_BUILD_ID and
// AZUREML_GIT_BUILD_URI, looked up with env (such as os.LookupEnv), win over git and count
// outside a repository, too; an empty one counts as not set. Read takes 5
// seconds at most and a few milliseconds as a rule; what is not found out by
// then is absent. The only error is that of ctx.
func Read(ctx context.Context, dir string, env func(string) (string, bool)) (map[string]string, error) {
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	props := fromEnvironment(env)
	if r := (repository{dir: dir}); r.open(limited) {
		r.fill(limited, props)
	}
	for name, twin := range map[string]string{
		RepositoryURI: MLflowRepoURL, Branch: MLflowBranch, Commit: MLflowCommit,
	} {
		if value, ok := props[name]; ok {
			props[twin] = value
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return props, nil
}

func fromEnvironment(env func(string) (string, bool)) map[string]string {
	props := map[string]string{}
	for _, v := range []struct {
		name, property string
		clean          func(string) string
	}{
		{"AZUREML_GIT_REPOSITORY_URI", RepositoryURI, cleanRemote},
		{"AZUREML_GIT_BRANCH", Branch, strings.TrimSpace},
		{"AZUREML_GIT_COMMIT", Commit, strings.TrimSpace},
		{"AZUREML_GIT_DIRTY", Dirty, strings.TrimSpace},
		{"AZUREML_GIT_BUILD_ID", BuildID, strings.TrimSpace},
		{"AZUREML_GIT_BUILD_URI", BuildURI, cleanLink},
	} {
		if value, _ := env(v.name); strings.TrimSpace(value) != "" {
			props[v.property] = v.clean(value)
		}
	}
	return props
}
