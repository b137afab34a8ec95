// Package mlflow serves a workspace to MLflow clients: MLflow's REST interface
// for tracking, logged models and the model registry, as an http.Handler. Package server mounts it with
// access control; a running script gets it from its agent.
//
// What a client calls an experiment, a run, a metric or an artifact is the
// workspace's own: an experiment's ID is its name, a run's ID its ID, artifacts
// are the run's files. Nothing is kept beside them, so programs that use the
// library and programs that use MLflow see each other's work.
//
// A route is one line in the table of its subject (experiments.go, runs.go, …):
// method, path, and the method of call that serves it. Its messages are plain
// structs in messages_*.go by the names of the client's own protobuf
// definitions, with which a test compares them.
package mlflow
