// Package runconfig reads and writes run configurations as Azure Machine
// Learning's SDK v1 keeps them on disk: YAML files named "<name>.runconfig" or
// "<name>" in a project's ".azureml" folder.
//
// [Load] finds and reads one, [RunConfig.Save] writes one that the SDK's own
// reader takes. Keys are written in camelCase and read in any case, with or
// without underscores. Reading is strict about types, naming file, line and
// key, and lenient about unknown keys, which become warnings.
package runconfig
