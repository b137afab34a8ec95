package mlflow

// What follows is for package mlflow at the top, which carries over what others
// have kept: it has to be found here as what clients keep is.

// RunType is the type of runs that MLflow clients make.
const RunType = typeMLflow

// ExperimentKey gives the name in the workspace of what MLflow calls an
// experiment of that name.
func ExperimentKey(name string) string { return experimentKey(name) }

// ModelKey gives the name in the workspace of what MLflow calls a registered
// model of that name.
func ModelKey(name string) string { return modelKey(name) }
