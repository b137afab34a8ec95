// Package azml holds what every other package of the module shares: the error
// classes and the error type that carries them. Programs start with package
// workspace:
//
//	ws, err := workspace.Open(ctx, "/srv/ml", nil)
//	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
//	r, err := exp.Run(ctx, train, nil)
//
// # Packages
//
// Subjects, from the top down: workspace opens everything; experiment groups
// and submits runs; run is one training run with its metrics, files and logs;
// model is the registry; endpoint serves models over HTTP; environment
// describes and builds what a script needs; compute names the targets that
// scripts run on. Package backend is the seam below them: the interfaces of an
// object store, a secret store and a compute target, with one driver per
// folder under it.
//
// A workspace is a set of objects and secrets, by default one local folder.
// There is no server: any number of processes open the same workspace at the
// same time and stay correct, because every change is a conditional write.
//
// # Errors
//
// Every error that a method returns wraps exactly one of the classes of this
// package; test for it with [errors.Is]. The text is for people and is no
// contract.
package azml
