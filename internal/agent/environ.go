package agent

import (
	"cmp"
	"context"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/azml-go/azml/internal/telemetry"
)

// passed are the variables of this process that a script gets: what it needs
// to find programs, its home, its language, its certificates and its network,
// and what graphics cards it may use. Nothing else leaks into it.
var passed = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
	"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"}

// BaseEnviron gives the variables of this process that are passed on to a
// user's script.
func BaseEnviron() map[string]string {
	env := map[string]string{}
	for _, name := range passed {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	for _, pair := range os.Environ() {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, "LC_") {
			env[name] = value
		}
	}
	if env["HOME"] == "" { // on other machines nobody has logged in
		if u, err := user.Current(); err == nil {
			env["HOME"] = u.HomeDir
		}
	}
	return env
}

// targetType gives the kind of the run's compute target as scripts know it.
func (d *drive) targetType() string {
	return strings.ToLower(cmp.Or(d.run.Definition.ComputeType, "local"))
}

// environ gives the script's whole environment: this machine's, the
// environment's, the user's, and last what says which run this is and which
// span it belongs to.
func (d *drive) environ(ctx context.Context) map[string]string {
	env := d.env.Environ(BaseEnviron())
	maps.Copy(env, telemetry.Environ(ctx))
	maps.Copy(env, d.env.variables)
	maps.Copy(env, d.run.Definition.Variables)
	maps.Copy(env, map[string]string{
		"AZUREML_RUN_ID":                        d.run.ID,
		"AZUREML_EXPERIMENT_ID":                 d.run.Experiment,
		"AZUREML_WORKSPACE_ID":                  d.h.Workspace().ID,
		"AZUREML_ARM_WORKSPACE_NAME":            d.h.Workspace().Name,
		"AZUREML_ARM_PROJECT_NAME":              d.run.Experiment,
		"AZUREML_TARGET_TYPE":                   d.targetType(),
		"AZUREML_FRAMEWORK":                     "Python",
		"AZUREML_COMMUNICATOR":                  "None",
		"AZUREML_CR_NODE_RANK":                  strconv.Itoa(d.place.rank),
		"AZUREML_CR_EXECUTION_WORKING_DIR_PATH": d.codeDir(),
		"AZUREML_CONDA_ENVIRONMENT_PATH":        d.env.Dir,
		"AZUREML_OUTPUT_DIRECTORY":              filepath.Join(d.codeDir(), "outputs"),
		"AZUREML_LOGDIRECTORY_PATH":             filepath.Join(d.codeDir(), "logs"),
		"AZML_METRICS_FILE":                     d.metricsFile(0),
	})
	if d.data != nil {
		maps.Copy(env, d.data.Variables)
	}
	d.addTracking(env)
	return env
}
