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

// own gives the variables that tell a script of its folders and its service.
func (c *PythonConfig) own() map[string]string {
	own := map[string]string{"AML_APP_ROOT": c.AppRoot, "AZUREML_SOURCE_DIRECTORY": c.SourceDir, "AZUREML_ENTRY_SCRIPT": filepath.Join(c.SourceDir, c.EntryScript),
		"AZUREML_MODEL_DIR": c.ModelDir, "SERVICE_NAME": c.ServiceName, "WORKSPACE_NAME": c.WorkspaceName}
	maps.DeleteFunc(own, func(_, value string) bool { return value == "" })
	return own
}

// OwnVariable tells whether a worker gets that variable from the rest of its
// configuration, so that a script would be misled by another value. SERVICE_VERSION is
// none: it is whoever's who sets it.
func OwnVariable(name string) bool {
	_, own := (&PythonConfig{AppRoot: "/", SourceDir: "/", ModelDir: "/", ServiceName: "s", WorkspaceName: "w"}).own()[name]
	return own
}

// environ gives the worker's environment, sorted.
func (c *PythonConfig) environ() []string {
	env := map[string]string{}
	for _, name := range basicEnv {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	if c.ServiceVersion != "" {
		env["SERVICE_VERSION"] = c.ServiceVersion
	}
	maps.Copy(env, c.Env)
	maps.Copy(env, c.own()) // whatever an environment says
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
