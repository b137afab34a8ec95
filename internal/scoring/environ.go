package scoring

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// basicEnv are the variables of this process that a worker gets: what an
// interpreter needs to find its files and to speak the user's language.
// Everything else may hold secrets that are not the script's business.
var basicEnv = []string{
	"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "HOSTNAME",
	"SYSTEMROOT", "SYSTEMDRIVE", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT", "COMSPEC", "TEMP", "TMP",
}

// environ gives the worker's environment, sorted.
func (c *PythonConfig) environ() []string {
	env := map[string]string{}
	for _, name := range basicEnv {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	set := func(name, value string) {
		if value != "" {
			env[name] = value
		}
	}
	set("AML_APP_ROOT", c.AppRoot)
	set("AZUREML_SOURCE_DIRECTORY", c.SourceDir)
	set("AZUREML_ENTRY_SCRIPT", filepath.Join(c.SourceDir, c.EntryScript))
	set("AZUREML_MODEL_DIR", c.ModelDir)
	set("SERVICE_NAME", c.ServiceName)
	set("SERVICE_VERSION", c.ServiceVersion)
	set("WORKSPACE_NAME", c.WorkspaceName)
	maps.Copy(env, c.Env)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
